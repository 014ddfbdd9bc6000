/** What has changed, in words of this folder: groups of resources, as the source names them. */
export interface Change {
  everything: boolean;
  readonly groups: Set<string>;
  /** Which names there are may have changed, for those who subscribe to all of them. */
  names: boolean;
}

export const noChange = (): Change => ({ everything: false, groups: new Set(), names: false });

export function mergeChange(into: Change, from: Change): void {
  into.everything ||= from.everything;
  into.names ||= from.names;
  for (const group of from.groups) into.groups.add(group);
}
