import type { RequestCase } from './case.ts';
import { contentCases } from './requests/content.ts';
import { fieldCases } from './requests/fields.ts';
import { frameCases } from './requests/frames.ts';
import { targetCases } from './requests/target.ts';

export const requestCases: readonly RequestCase[] = [...fieldCases, ...targetCases, ...contentCases, ...frameCases];
