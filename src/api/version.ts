// version.ts: what this build calls itself. The server speaks and reports itself as etcd 3.7.1,
// because clients decide by that number which features to use.

/** Version of the etcd API and tools that this build stands in for. */
export const etcdVersion = '3.7.1'

/** Cluster and storage version of a cluster made of such members. */
export const clusterVersion = '3.7.0'

/** First two numbers of the version: the API version that `version` prints. */
export const apiVersion = '3.7'
