import type { Command } from '../command.ts';
import { authz } from './authz.ts';
import { ca } from './ca.ts';
import { check } from './check.ts';
import { down } from './down.ts';
import { identity } from './identity.ts';
import { mtls } from './mtls.ts';
import { sidecar } from './sidecar.ts';
import { status } from './status.ts';
import { token } from './token.ts';
import { up } from './up.ts';

export const commands: readonly Command[] = [up, down, status, check, ca, sidecar, token, identity, authz, mtls];
