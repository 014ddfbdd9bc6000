import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { StatusError, unauthorized } from '../status.ts';
import type { TokenIssuer } from './tokens.ts';
import { anonymous, type User } from './user.ts';

/** Client certificates of the cluster's CA and bearer tokens. Credentials that are wrong are refused, none at all is anonymous. */
export function authenticate(request: IncomingMessage, tokens: TokenIssuer): User {
  const header = request.headers.authorization;
  if (header !== undefined) {
    const match = /^Bearer\s+(\S+)$/i.exec(header.trim());
    if (match?.[1] === undefined) throw unauthorized();
    const verified = tokens.verify(match[1], tokens.apiAudiences);
    if ('refused' in verified) throw unauthorized();
    return verified.user;
  }
  return certificateUser(request) ?? anonymous;
}

function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function certificateUser(request: IncomingMessage): User | undefined {
  const socket = request.socket;
  if (!(socket instanceof TLSSocket)) return undefined;
  const certificate = socket.getPeerCertificate();
  const subject = certificate?.subject;
  if (subject === undefined) return undefined;
  // A certificate of another CA is not a reason to go on as nobody.
  if (!socket.authorized) throw unauthorized();
  const name = listOf(subject.CN).at(-1);
  if (name === undefined) throw unauthorized();
  const groups = listOf(subject.O);
  return { name, uid: '', groups: [...new Set([...groups, 'system:authenticated'])], extra: {} };
}

/** Impersonation (`kubectl --as`) as its headers say it; undefined when there are none. */
export function impersonated(request: IncomingMessage): User | undefined {
  const name = request.headers['impersonate-user'];
  if (name === undefined) {
    if (request.headers['impersonate-group'] !== undefined) {
      throw new StatusError(400, 'BadRequest', 'requested impersonation of groups without impersonating a user');
    }
    return undefined;
  }
  const groups = listOf(request.headersDistinct['impersonate-group']);
  const user = Array.isArray(name) ? (name[0] ?? '') : name;
  const account = /^system:serviceaccount:([^:]+):[^:]+$/.exec(user);
  const implied =
    account === null
      ? groups
      : groups.length > 0
        ? groups
        : ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`];
  return { name: user, uid: '', groups: [...new Set([...implied, 'system:authenticated'])], extra: {} };
}
