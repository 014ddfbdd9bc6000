import type { ResponseCase } from './case.ts';
import { framing } from './responses/framing.ts';
import { heads } from './responses/heads.ts';

export const responseCases: readonly ResponseCase[] = [...framing, ...heads];
