/** The options of `weft identity serve`, for the command and for the program behind it. */
const text = { type: 'string' } as const;

export const agentOptions = {
  socket: text,
  'control-plane': text,
  'server-name': text,
  trust: text,
  'join-token': text,
  state: text,
  'allow-uid': { type: 'string', multiple: true },
} as const;

/** SPIFFE_ENDPOINT_SOCKET is a URI, and a path will do here. */
export const socketPath = (socket: string): string => socket.replace(/^unix:(\/\/)?/, '');
