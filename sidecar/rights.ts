import { openSocketOptions } from './net/socket-options.ts';
import { openAllocator } from './overload/give-back.ts';

/**
 * Gives up what only the start needs, for good: code that got into the process later finds no way to native functions but
 * the few that are open, and no second thread. A pool starts its threads again when they die, and keeps both rights.
 */
export function dropStartRights(concurrency: number): void {
  const { permission } = process;
  // Started without --permission, as by a test.
  if (permission === undefined || concurrency > 1) return;
  openSocketOptions();
  openAllocator();
  permission.drop('ffi');
  permission.drop('worker');
}
