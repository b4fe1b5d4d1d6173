// client.ts: the clients that a server hands out. They are of the package etcd3, which is
// for whoever uses them to install.
import type { Etcd3, IOptions } from 'etcd3'

export interface Reached {
  readonly hosts: string
  /** The certificate to trust. */
  readonly ca: string | undefined
  readonly rootPassword: string | undefined
}

/** Clients of one server, closed together. */
export class Clients {
  readonly #opened = new Set<Etcd3>()

  async open({ hosts, ca, rootPassword }: Reached, options: Partial<IOptions>): Promise<Etcd3> {
    const etcd3 = await import('etcd3')
    const client = new etcd3.Etcd3({
      hosts,
      ...(rootPassword !== undefined && { auth: { username: 'root', password: rootPassword } }),
      ...(ca !== undefined && { credentials: { rootCertificate: Buffer.from(ca) } }),
      ...options,
    })
    this.#opened.add(client)
    return client
  }

  close(): void {
    for (const client of this.#opened) client.close()
    this.#opened.clear()
  }
}

/** For a program that is started beside the server. */
export function environment(endpoint: string): Record<string, string> {
  return { ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: endpoint, TSCTL_SERVER_URL: endpoint }
}
