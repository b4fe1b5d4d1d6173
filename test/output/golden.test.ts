// Every kind of result in every format, as text files to be read: fixtures/golden/output/KIND.txt.
// UPDATE_GOLDEN=1 rewrites them; read each changed line before it is committed.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  type FormatName,
  formatFor,
  formatNames,
  type Result,
  UnsupportedFormatError,
} from '../../src/output/format.js'
import { samples } from './samples.js'

const folder = new URL('../../fixtures/golden/output/', import.meta.url)
const isUpdate = process.env.UPDATE_GOLDEN === '1'

async function textOf(result: Result, name: FormatName, hex: boolean): Promise<string> {
  const format = await formatFor(name, { hex, tableStyle: 'ascii', color: false })
  try {
    const { stdout, stderr = '' } = format.print(result)
    const errors = stderr.replace(/^(?=.)/gm, '(stderr) ')
    return (name === 'protobuf' ? hexLines(Buffer.from(stdout)) : String(stdout)) + errors
  } catch (error) {
    if (error instanceof UnsupportedFormatError) return `Error: ${error.message}\n`
    throw error
  }
}

const hexLines = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/.{64}|.+$/g, (line) => `${line.replace(/..(?!$)/g, '$& ')}\n`)

/** The forms of one result, each under a heading; --hex only where it changes something. */
async function pageOf(title: string, result: Result): Promise<string> {
  const sections: string[] = []
  for (const name of formatNames) {
    const text = await textOf(result, name, false)
    sections.push(`--- ${title}, ${name}\n${text}`)
    const hex = await textOf(result, name, true)
    if (hex !== text) sections.push(`--- ${title}, ${name} --hex\n${hex}`)
  }
  return sections.join('')
}

test.each(Object.keys(samples))('%s prints what its golden file holds', async (kind) => {
  const pages: string[] = []
  for (const [title, result] of Object.entries(samples[kind as keyof typeof samples])) {
    pages.push(await pageOf(title, result as Result))
  }
  const file = new URL(`${kind}.txt`, folder)
  const text = pages.join('')
  if (isUpdate) writeFileSync(file, text)
  expect(existsSync(file) ? readFileSync(file, 'utf8') : '').toBe(text)
})

test('an unknown name is refused, and names are exact', async () => {
  for (const name of ['', 'JSON', 'yaml', 'tables', 'Simple']) {
    const formatting = formatFor(name, { hex: false, tableStyle: 'ascii', color: false })
    await expect(formatting).rejects.toMatchObject({
      name: 'UnsupportedFormatError',
      message: 'unsupported output format',
      exitCode: 4,
    })
  }
})
