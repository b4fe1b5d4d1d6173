// table.ts: boxes for people, drawn by cli-table3.
//
// ASCII is the look of etcdctl 3.4 to 3.6, and the default; Unicode is that of 3.7. Both have the
// columns of 3.7, and cells are neither wrapped nor shortened, whatever the terminal's width.
// This module is loaded only when a table is asked for, and chalk only for colour.
//
// cli-table3 takes time quadratic in the number of rows, and for each cell more than all the rest
// of a command, so it draws only what takes more than padding: rows with line feeds or characters
// of other widths, in batches. The widths are measured first, and the inner borders cut off.

import type { ChalkInstance } from 'chalk'
import CliTable3 from 'cli-table3'
import { progressLine } from './progress.js'
import type { Format, FormatSettings, Result, TableStyle } from './result.js'
import { newSheets, type Sheet } from './sheets.js'
import { UnsupportedFormatError } from './unsupported.js'
import { userDetail } from './user-detail.js'

export async function newTable({ hex, tableStyle, color }: FormatSettings): Promise<Format> {
  const chalk = color ? new (await import('chalk')).Chalk({ level: 1 }) : undefined
  const sheetOf = newSheets({ hex })
  const print: Format['print'] = (result) => {
    if (result.kind === 'userDetail') return userDetail(result, print)
    if (result.kind === 'leaseKeepAliveEnd') return { stdout: '' }
    const sheet = sheetOf(result)
    if (sheet === undefined) throw UnsupportedFormatError.combination('table')
    return { stdout: progress(result) + (isEmptyAnswer(result) ? '' : drawn(sheet)) }
  }
  const drawn = (sheet: Sheet): string => drawTable(trimmed(sheet), { tableStyle, chalk })
  return { print }
}

const progress = (result: Result): string =>
  result.kind === 'watch' ? progressLine(result.response) : ''

// A stream may bring many answers without events; a box without rows would only be noise there.
const isEmptyAnswer = (result: Result): boolean =>
  result.kind === 'watch' && result.response.events.length === 0

const trimmed = (sheet: Sheet): Sheet => ({ ...sheet, rows: sheet.rows.map((row) => row.map(cut)) })

const cut = (cell: string): string =>
  cell
    .split('\n')
    .map((line) => line.trim())
    .join('\n')

interface Look {
  tableStyle: TableStyle
  chalk: ChalkInstance | undefined
}

/** Rows given to cli-table3 at once: its time grows with the square of this. */
const batchRows = 200

/** One space on each side of a cell. */
const padding = 2

/** The bars left and right of a table with one cell. */
const borders = 2

function drawTable({ columns, rows, left }: Sheet, look: Look): string {
  const widths = columns.map((column, index) =>
    rows.reduce((width, row) => Math.max(width, cellWidth(row[index] ?? '')), column.length),
  )
  const head = columns.map(
    (content) => ({ content: bold(content, look), hAlign: 'center' }) as const,
  )
  const [top = '', names = '', bottom = ''] = boxLines([head], widths, asciiOr(look, {}))
  const [, , line = ''] = boxLines([head], widths, asciiOr(look, headEnds))
  const body: string[] = []
  for (let from = 0; from < rows.length; from += batchRows) {
    body.push(...rowLines(rows.slice(from, from + batchRows), { columns, widths, left, look }))
  }
  // Without rows the Unicode form goes from the header to the bottom; ASCII draws both lines.
  const isClosed = rows.length === 0 && look.tableStyle === 'unicode'
  return [top, names, ...(isClosed ? [] : [line]), ...body, bottom, ''].join('\n')
}

interface Layout {
  columns: readonly string[]
  widths: readonly number[]
  left: readonly string[] | undefined
  look: Look
}

function rowLines(rows: Sheet['rows'], { columns, widths, left, look }: Layout): string[] {
  const isLeft = columns.map((column) => left?.includes(column) ?? false)
  const paint = (row: readonly string[]) =>
    row.map((content, index) => painted(content, columns[index] ?? '', look))
  if (rows.every((row) => row.every(isPlain))) {
    const bar = look.tableStyle === 'ascii' ? '|' : '│'
    return rows.map((row) => {
      const cells = paint(row).map((content, index) => {
        // The colour does not count.
        const room = ' '.repeat((widths[index] ?? 0) - (row[index]?.length ?? 0))
        return isLeft[index] ? content + room : room + content
      })
      return `${bar} ${cells.join(` ${bar} `)} ${bar}`
    })
  }
  const cells = rows.map((row) =>
    paint(row).map((content, index) => {
      return { content, hAlign: isLeft[index] ? ('left' as const) : ('right' as const) }
    }),
  )
  return boxLines(cells, widths, asciiOr(look, {})).slice(1, -1)
}

/** One line in which each character takes one column. */
const isPlain = (cell: string): boolean => /^[\x20-\x7e]*$/.test(cell)

type Chars = NonNullable<CliTable3.TableConstructorOptions['chars']>

function boxLines(
  rows: CliTable3.Cell[][],
  widths: readonly number[] | undefined,
  chars: Chars,
): string[] {
  const style = { head: [], border: [], compact: true }
  const colWidths = widths?.map((width) => width + padding) ?? []
  const box = new CliTable3({ chars, colWidths, style })
  box.push(...rows)
  return box.toString().split('\n')
}

/** The line under the header goes on below, so its joints differ from those of a bottom. */
const headEnds = { 'bottom-left': '├', 'bottom-mid': '┼', 'bottom-right': '┤' }

const asciiChars = {
  top: '-',
  'top-mid': '+',
  'top-left': '+',
  'top-right': '+',
  bottom: '-',
  'bottom-mid': '+',
  'bottom-left': '+',
  'bottom-right': '+',
  left: '|',
  right: '|',
  middle: '|',
}

const asciiOr = ({ tableStyle }: Look, unicode: Chars): Chars =>
  tableStyle === 'ascii' ? asciiChars : unicode

/** Columns of a terminal that the cell needs: of its longest line, wide characters as two. */
function cellWidth(cell: string): number {
  if (isPlain(cell)) return cell.length
  // cli-table3 measures for itself, and what it draws must fit what is measured here.
  const [top = ''] = boxLines([[cell]], undefined, {})
  return top.length - borders - padding
}

const bold = (text: string, { chalk }: Look): string => chalk?.bold(text) ?? text

/** Colour for what a person looks for in a report: what is well, what is not. */
function painted(text: string, column: string, { chalk }: Look): string {
  if (chalk === undefined || text === '') return text
  const paint = colors[`${column} ${text}`] ?? colors[column]
  return paint === undefined ? text : chalk[paint](text)
}

const colors: Readonly<Record<string, 'green' | 'red' | 'yellow'>> = {
  'HEALTH true': 'green',
  'HEALTH false': 'red',
  'STATUS started': 'green',
  'STATUS unstarted': 'yellow',
  'EVENT PUT': 'green',
  'EVENT DELETE': 'red',
  ERROR: 'red',
  ERRORS: 'red',
  ALARM: 'red',
}
