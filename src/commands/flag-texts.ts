// flag-texts.ts: where the settings of a server come from: a text for each flag that was given.
import type { Environment } from './context.js'

/** What was given for a flag, by its name; undefined: nothing. */
export type FlagTexts = (name: string) => string | undefined

/**
 * Flags as typed, by their camel case name, and variables; a flag beats its variable. An empty
 * variable is none, as in etcd: what a file of variables leaves empty keeps its default.
 */
export function givenTexts(typed: Readonly<Record<string, unknown>>, env: Environment): FlagTexts {
  return (name) => {
    const value = typed[camelCase(name)]
    if (value !== undefined) return String(value)
    return env[`ETCD_${name.toUpperCase().replaceAll('-', '_')}`] || undefined
  }
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
