/** `node:net` knows addresses without doing I/O; the pure parts take it from here, so that a rule can keep sockets out of them. */
export { isIP, isIPv4, isIPv6 } from 'node:net';
