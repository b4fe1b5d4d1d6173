// golden-etcdctl.test.ts: the real etcdctl against the bundled server must print what it printed
// against a real etcd.
import { etcdctl } from './golden/clients.js'
import { playGolden } from './golden/play.js'

playGolden(etcdctl, 'bundled')
