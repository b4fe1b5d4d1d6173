// golden.test.ts: what a real etcdctl 3.4.23 printed against a real etcd, compared with what tsctl
// prints against the bundled server and against a real etcd: standard output byte for byte, the
// exit code, standard error.
import { tsctl } from './golden/clients.js'
import { playGolden } from './golden/play.js'

playGolden(tsctl, 'bundled')
playGolden(tsctl, 'etcd')
