// alarm.ts: which members are in trouble, as the log says. An active alarm refuses requests on
// every member: NOSPACE those that grow the store, CORRUPT all that change it.
import { AlarmType } from '../api/gen/rpc.js'
import { type AlarmRecord, alarmKey } from '../storage/schema.js'

export class Alarms {
  readonly #active = new Map<string, AlarmRecord>()

  restore(alarms: Iterable<AlarmRecord>): void {
    this.#active.clear()
    for (const alarm of alarms) this.#active.set(name(alarm), alarm)
  }

  isActive(type: AlarmType): boolean {
    for (const { alarm } of this.#active.values()) if (alarm === type) return true
    return false
  }

  /** All of one type, in the order of their keys; NONE: of every type. */
  list(type: AlarmType = AlarmType.NONE): AlarmRecord[] {
    return [...this.#active.values()]
      .filter(({ alarm }) => type === AlarmType.NONE || alarm === type)
      .sort((a, b) => Buffer.compare(alarmKey(a), alarmKey(b)))
  }

  /** An alarm of type NONE is nothing to raise. */
  activate(alarm: AlarmRecord): AlarmRecord[] {
    if (alarm.alarm === AlarmType.NONE) return []
    this.#active.set(name(alarm), alarm)
    return [alarm]
  }

  /** Member and type must fit exactly; what was not raised is no error. */
  deactivate(alarm: AlarmRecord): AlarmRecord[] {
    return this.#active.delete(name(alarm)) ? [alarm] : []
  }
}

function name({ memberId, alarm }: AlarmRecord): string {
  return `${memberId} ${alarm}`
}
