/** What answers the Workload API, with the messages and tokens that it takes: a bundle of its own, since few ask for it. */
export { jwtAuthority } from './authority.ts';
export { JwtSvids } from './jwt.ts';
export { workloadApiHandlers } from './service.ts';
