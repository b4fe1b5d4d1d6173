// cluster-id.test.ts: ids that real members have, and the texts about flags that do not fit.
import { expect, test } from 'vitest'
import { clusterId, memberId } from '../../src/storage/cluster-id.js'
import {
  type Bootstrap,
  initialMembers,
  parseInitialCluster,
} from '../../src/storage/initial-cluster.js'

const token = 'etcd-cluster'

test('the default member and its cluster have the ids that everybody knows', () => {
  const id = memberId(['http://localhost:2380'], token)
  expect(id.toString(16)).toBe('8e9e05c52164694d')
  expect(clusterId([id]).toString(16)).toBe('cdf818194e3a8c32')
})

test('the order of URLs and of members does not matter', () => {
  const urls = ['http://b:2', 'http://a:1']
  expect(memberId(urls, token)).toBe(memberId([...urls].reverse(), token))
  expect(clusterId([5n, 2n ** 63n, 7n])).toBe(clusterId([2n ** 63n, 7n, 5n]))
})

test('a member that joins later has another id than one that was there from the start', () => {
  const ids = [undefined, 1700000000, 1700000001].map((at) => memberId(['http://a:1'], token, at))
  expect(new Set(ids).size).toBe(3)
})

const bootstrap: Bootstrap = {
  name: 'default',
  initialCluster: 'default=http://localhost:2380',
  initialClusterToken: token,
  initialAdvertisePeerUrls: 'http://localhost:2380',
}

test('members come in ascending order of id, URLs of a repeated name add up', () => {
  const members = initialMembers({
    ...bootstrap,
    name: 'a',
    initialCluster: 'a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,a=http://10.0.0.1:1',
    initialAdvertisePeerUrls: 'http://10.0.0.1:2380,http://10.0.0.1:1',
  })
  expect(members.map(({ name, peerUrls }) => [name, peerUrls])).toEqual(
    (members[0]?.name === 'a' ? ['a', 'b'] : ['b', 'a']).map((name) => [
      name,
      name === 'a' ? ['http://10.0.0.1:1', 'http://10.0.0.1:2380'] : ['http://10.0.0.2:2380'],
    ]),
  )
  expect((members[0]?.id ?? 0n) < (members[1]?.id ?? 0n)).toBe(true)
})

test('schemes are lower case and spaces around a URL do not count', () => {
  expect(parseInitialCluster('a= HTTP://x:1 ,,b=unix:///tmp/s,c=https://[::1]:2380')).toEqual(
    new Map([
      ['a', ['http://x:1']],
      ['b', ['unix:///tmp/s']],
      ['c', ['https://[::1]:2380']],
    ]),
  )
})

// Recorded from etcdctl 3.4.23 snapshot restore.
const refused: [change: Partial<Bootstrap>, message: string][] = [
  [
    { initialAdvertisePeerUrls: 'http://127.0.0.2:2380' },
    '--initial-cluster has default=http://localhost:2380 but missing from --initial-advertise-peer-urls=http://127.0.0.2:2380 (resolved urls: "http://127.0.0.2:2380" != "http://localhost:2380")',
  ],
  [
    { initialAdvertisePeerUrls: 'http://127.0.0.2:2380,http://localhost:2380' },
    '--initial-advertise-peer-urls has http://127.0.0.2:2380 but missing from --initial-cluster=default=http://127.0.0.2:2380,default=http://localhost:2380',
  ],
  [
    { initialCluster: 'default=http://localhost:2380,default=http://127.0.0.1:99' },
    '--initial-cluster has default=http://127.0.0.1:99 but missing from --initial-advertise-peer-urls=http://localhost:2380 (len(["http://localhost:2380"]) != len(["http://127.0.0.1:99" "http://localhost:2380"]))',
  ],
  [
    { initialCluster: 'default=http://localhost:2380,x=http://localhost:2380' },
    'initial cluster default=http://localhost:2380,x=http://localhost:2380 has duplicate url',
  ],
  [{ name: 'x' }, `couldn't find local name "x" in the initial cluster configuration`],
  [
    { initialCluster: '' },
    `couldn't find local name "default" in the initial cluster configuration`,
  ],
  [{ initialCluster: 'default' }, 'URL scheme must be http, https, unix, or unixs: '],
  [
    { initialCluster: '=http://a:1' },
    `couldn't find local name "default" in the initial cluster configuration`,
  ],
  [
    { initialCluster: 'default=ftp://localhost:2380' },
    'URL scheme must be http, https, unix, or unixs: ftp://localhost:2380',
  ],
  [
    { initialCluster: 'default=http://localhost' },
    'URL address does not have the form "host:port": http://localhost',
  ],
  [
    { initialCluster: 'default=http://:::2380' },
    'URL address does not have the form "host:port": http://:::2380',
  ],
  [
    { initialCluster: 'default=http://localhost:2380/x' },
    'URL must not contain a path: http://localhost:2380/x',
  ],
  [
    { initialCluster: 'default=http://local host:2380' },
    'parse "http://local host:2380": invalid character " " in host name',
  ],
  [{ initialCluster: 'default=%zz' }, 'parse "%zz": invalid URL escape "%zz"'],
  [{ initialAdvertisePeerUrls: '' }, 'URL scheme must be http, https, unix, or unixs: '],
  [
    { initialAdvertisePeerUrls: 'http://localhost:2380,' },
    'URL scheme must be http, https, unix, or unixs: ',
  ],
]

for (const [change, message] of refused) {
  test(`${JSON.stringify(change)} is refused as etcdctl refuses it`, () => {
    expect(() => initialMembers({ ...bootstrap, ...change })).toThrow(
      expect.objectContaining({ name: 'InitialClusterError', message }),
    )
  })
}
