// content-type.ts: whether a request or an answer is one of gRPC.

export function isGrpcType(type: string): boolean {
  if (!type.startsWith('application/grpc')) return false
  const next = type.charAt('application/grpc'.length)
  return next === '' || next === '+' || next === ';'
}
