// enum-names.ts: the names of the numbers in messages, where a text shows a name.

import { Permission_Type } from '../api/gen/auth.js'
import { Event_EventType } from '../api/gen/kv.js'
import { AlarmType } from '../api/gen/rpc.js'

export const eventNames: Readonly<Record<Event_EventType, string>> = {
  [Event_EventType.PUT]: 'PUT',
  [Event_EventType.DELETE]: 'DELETE',
}

export const alarmNames: Readonly<Record<AlarmType, string>> = {
  [AlarmType.NONE]: 'NONE',
  [AlarmType.NOSPACE]: 'NOSPACE',
  [AlarmType.CORRUPT]: 'CORRUPT',
}

export const permissionNames: Readonly<Record<Permission_Type, string>> = {
  [Permission_Type.READ]: 'READ',
  [Permission_Type.WRITE]: 'WRITE',
  [Permission_Type.READWRITE]: 'READWRITE',
}
