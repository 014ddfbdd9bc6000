/** Status of a route, the same for all kinds of them. */
import { z } from 'zod';
import { conditions, controllerName } from '../object.ts';
import { listOf } from '../schema.ts';
import { parentRefShape } from './refs.ts';

export const routeStatus = z
  .looseObject({
    parents: listOf(
      z.looseObject({
        parentRef: z.looseObject(parentRefShape).describe('The parent, as in `spec.parentRefs`.'),
        controllerName: controllerName(),
        conditions: conditions({ min: 1, max: 8 }),
      }),
      { max: 32 },
    ).describe('What each controller says about each parent.'),
  })
  .describe('Written by the controllers of the parents.');
