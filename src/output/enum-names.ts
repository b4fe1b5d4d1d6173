// enum-names.ts: the names of the numbers in messages, where a text shows a name. A number that a
// newer server may send and that has no name here stays a number.

import { Permission_Type } from '../api/gen/auth.js'
import { Event_EventType } from '../api/gen/kv.js'
import { AlarmType } from '../api/gen/rpc.js'

const named =
  (names: Readonly<Record<number, string>>) =>
  (value: number): string =>
    names[value] ?? String(value)

export const eventName = named({
  [Event_EventType.PUT]: 'PUT',
  [Event_EventType.DELETE]: 'DELETE',
})

export const alarmName = named({
  [AlarmType.NONE]: 'NONE',
  [AlarmType.NOSPACE]: 'NOSPACE',
  [AlarmType.CORRUPT]: 'CORRUPT',
})

export const permissionName = named({
  [Permission_Type.READ]: 'READ',
  [Permission_Type.WRITE]: 'WRITE',
  [Permission_Type.READWRITE]: 'READWRITE',
})
