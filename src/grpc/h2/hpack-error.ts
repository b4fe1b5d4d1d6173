// hpack-error.ts: what is wrong with a header block that cannot be read (RFC 7541).

/**
 * The tables of both ends are out of step from here on, so the connection ends with
 * COMPRESSION_ERROR (RFC 9113 §4.3), and its decoder is of no more use.
 */
export class HpackError extends Error {}
