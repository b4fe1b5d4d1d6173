// feature-gates.ts: the text of etcd's --feature-gates: name=true,name=false,...
import { boolean, ValueError } from './values.js'

/** The settings of a member that gates stand for, by the names of gates. */
const gates = {
  InitialCorruptCheck: 'initialCorruptCheck',
  LeaseCheckpoint: 'leaseCheckpoint',
  LeaseCheckpointPersist: 'leaseCheckpointPersist',
} as const

/** What others stand for is not there to be chosen, as with the flags that they were before 3.6. */
const inertGates: readonly string[] = [
  ...['CompactHashCheck', 'FastLeaseKeepAlive', 'PriorityRequest', 'StopGRPCServiceOnDefrag'],
  'TxnModeWriteWithSharedBuffer',
]

type Gates = Partial<Record<(typeof gates)[keyof typeof gates], boolean>>

export interface FeatureGates {
  readonly config: Gates
  /** Names of those that were given and set nothing here. */
  readonly inert: readonly string[]
}

/**
 * The texts of the errors are those of Kubernetes, whose list of gates etcd uses.
 * @throws ValueError
 */
export function featureGates(text: string): FeatureGates {
  const config: Gates = {}
  const inert: string[] = []
  for (const gate of text.split(',').filter((each) => each !== '')) {
    const [name = '', value] = gate.split('=', 2)
    if (value === undefined) throw new ValueError(`missing bool value for ${name}`)
    const isKnown = isGate(name)
    if (!isKnown && !inertGates.includes(name)) {
      throw new ValueError(`unrecognized feature gate: ${name}`)
    }
    const isOn = truth(name, value)
    if (isKnown) config[gates[name]] = isOn
    else inert.push(name)
  }
  return { config, inert }
}

function truth(name: string, value: string): boolean {
  try {
    return boolean(value)
  } catch (error) {
    if (!(error instanceof ValueError)) throw error
    throw new ValueError(`invalid value of ${name}=${value}, err: ${error.message}`)
  }
}

const isGate = (name: string): name is keyof typeof gates => Object.hasOwn(gates, name)

export const gateNames: readonly string[] = Object.keys(gates)
