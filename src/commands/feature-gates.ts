// feature-gates.ts: the text of etcd's --feature-gates: name=true,name=false,...
import { boolean, ValueError } from './values.js'

/** The settings of a member that gates stand for, by the names of gates. */
const gates = {
  InitialCorruptCheck: 'initialCorruptCheck',
  LeaseCheckpoint: 'leaseCheckpoint',
  LeaseCheckpointPersist: 'leaseCheckpointPersist',
} as const

type Gates = Partial<Record<(typeof gates)[keyof typeof gates], boolean>>

/** The texts of the errors are those of Kubernetes, whose list of gates etcd uses. */
export function featureGates(text: string): Gates {
  const config: Gates = {}
  for (const gate of text.split(',').filter((each) => each !== '')) {
    const [name = '', value] = gate.split('=', 2)
    if (value === undefined) throw new ValueError(`missing bool value for ${name}`)
    if (!isGate(name)) throw new ValueError(`unrecognized feature gate: ${name}`)
    config[gates[name]] = boolean(value)
  }
  return config
}

const isGate = (name: string): name is keyof typeof gates => Object.hasOwn(gates, name)

export const gateNames: readonly string[] = Object.keys(gates)
