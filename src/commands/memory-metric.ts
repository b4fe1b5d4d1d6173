// memory-metric.ts: how much memory a member uses, as its /metrics page tells.
import http from 'node:http'
import https from 'node:https'
import type { TlsSettings } from '../connection/connect.js'
import { readTls } from '../connection/tls.js'

const metric = 'process_resident_memory_bytes'

/** The bytes, or why they are not known, in etcdctl's words. */
export type Memory = { bytes: number } | { problem: string }

export async function residentMemory(endpoint: string, tls: TlsSettings): Promise<Memory> {
  const url = `${/^https?:\/\//.test(endpoint) ? '' : 'http://'}${endpoint}/metrics`
  let options: https.RequestOptions = {}
  try {
    if (url.startsWith('https:')) options = await requestOptions(tls)
  } catch (error) {
    return { problem: `client certificate error: ${(error as Error).message}` }
  }
  try {
    return memoryOf(await page(url, options))
  } catch (error) {
    return { problem: `fetch error: ${(error as Error).message}` }
  }
}

async function requestOptions(settings: TlsSettings): Promise<https.RequestOptions> {
  const { cert, key, ca, insecureSkipVerify } = await readTls(settings)
  const files = { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) }
  return { ...files, rejectUnauthorized: insecureSkipVerify !== true }
}

export function memoryOf(metrics: string): Memory {
  const line = metrics.split('\n').findLast((one) => one.startsWith(metric))
  const text = line?.slice(metric.length).trim() ?? ''
  if (text === '') return { problem: `could not find: ${metric}` }
  const bytes = Number(text)
  return Number.isNaN(bytes) ? { problem: `parse error: ${text} is no number` } : { bytes }
}

/** A server that says nothing must not stop the check for good. */
const timeoutMs = 10_000

function page(url: string, options: https.RequestOptions): Promise<string> {
  const get = url.startsWith('https:') ? https.get : http.get
  return new Promise((resolve, reject) => {
    const request = get(url, { ...options, timeout: timeoutMs, agent: false }, (response) => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('end', () => resolve(Buffer.concat(pieces).toString()))
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error(`no answer from ${url}`)))
    request.on('error', reject)
  })
}
