import { asArray, asNumber, asObject, asObjects, asString, at, type JsonObject } from '../json.ts';
import type { Column } from '../kinds/resource.ts';
import { isDeleting } from '../object.ts';
import { ageColumn, column, containersOf, humanDuration, joined, labelsText, nameColumn, since } from './cells.ts';

/** Columns of pods and what makes them, as `kubectl get` users know them. */
const number = (value: Parameters<typeof asNumber>[0]): number => asNumber(value) ?? 0;

function waitingOrTerminated(status: JsonObject): string {
  const waiting = asString(at(status, 'state', 'waiting', 'reason'));
  if (waiting !== '') return waiting;
  const terminated = asObject(at(status, 'state', 'terminated'));
  if (terminated === undefined) return '';
  const reason = asString(terminated['reason']);
  if (reason !== '') return reason;
  const signal = number(terminated['signal']);
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${number(terminated['exitCode'])}`;
}

const isSidecar = (pod: JsonObject, name: string): boolean =>
  asObjects(at(pod, 'spec', 'initContainers')).some((c) => c['name'] === name && c['restartPolicy'] === 'Always');

/** `Init:1/2`, `Init:CrashLoopBackOff`, or undefined when initialization is over. */
function initState(pod: JsonObject): string | undefined {
  const total = asObjects(at(pod, 'spec', 'initContainers')).length;
  for (const [index, status] of asObjects(at(pod, 'status', 'initContainerStatuses')).entries()) {
    const terminated = asObject(at(status, 'state', 'terminated'));
    if (terminated !== undefined && number(terminated['exitCode']) === 0) continue;
    if (isSidecar(pod, asString(status['name'])) && status['started'] === true) continue;
    const reason = waitingOrTerminated(status);
    if (terminated !== undefined) return `Init:${reason}`;
    return reason !== '' && reason !== 'PodInitializing' ? `Init:${reason}` : `Init:${index}/${total}`;
  }
  return undefined;
}

export function podStatusText(pod: JsonObject): string {
  const phase = asString(at(pod, 'status', 'phase'));
  let reason = asString(at(pod, 'status', 'reason')) || phase;
  const init = initState(pod);
  if (init !== undefined) reason = init;
  else {
    let running = false;
    for (const status of asObjects(at(pod, 'status', 'containerStatuses')).reverse()) {
      const text = waitingOrTerminated(status);
      if (text !== '') reason = text;
      else if (status['ready'] === true && at(status, 'state', 'running') !== undefined) running = true;
    }
    if (reason === 'Completed' && running) {
      const ready = asObjects(at(pod, 'status', 'conditions')).some(
        (c) => c['type'] === 'Ready' && c['status'] === 'True',
      );
      reason = ready ? 'Running' : 'NotReady';
    }
  }
  if (isDeleting(pod)) return at(pod, 'status', 'reason') === 'NodeLost' ? 'Unknown' : 'Terminating';
  return reason;
}

function podReady(pod: JsonObject): string {
  const sidecars = asObjects(at(pod, 'spec', 'initContainers')).filter((c) => c['restartPolicy'] === 'Always');
  const statuses = asObjects(at(pod, 'status', 'containerStatuses'));
  const sidecarStatuses = asObjects(at(pod, 'status', 'initContainerStatuses')).filter((s) =>
    isSidecar(pod, asString(s['name'])),
  );
  const ready = [...statuses, ...sidecarStatuses].filter((status) => status['ready'] === true).length;
  return `${ready}/${containersOf(pod, 'spec').length + sidecars.length}`;
}

function podRestarts(pod: JsonObject, nowMs: number): string {
  const statuses = [
    ...asObjects(at(pod, 'status', 'containerStatuses')),
    ...asObjects(at(pod, 'status', 'initContainerStatuses')).filter((s) => isSidecar(pod, asString(s['name']))),
  ];
  const restarts = statuses.reduce((sum, status) => sum + number(status['restartCount']), 0);
  const last = statuses
    .map((status) => Date.parse(asString(at(status, 'lastState', 'terminated', 'finishedAt'))))
    .filter((time) => !Number.isNaN(time));
  return restarts > 0 && last.length > 0
    ? `${restarts} (${humanDuration(nowMs - Math.max(...last))} ago)`
    : String(restarts);
}

function readinessGates(pod: JsonObject): string {
  const gates = asObjects(at(pod, 'spec', 'readinessGates'));
  if (gates.length === 0) return '<none>';
  const conditions = asObjects(at(pod, 'status', 'conditions'));
  const open = gates.filter((gate) =>
    conditions.some((c) => c['type'] === gate['conditionType'] && c['status'] === 'True'),
  );
  return `${open.length}/${gates.length}`;
}

export const podColumns: readonly Column[] = [
  nameColumn,
  column('Ready', podReady),
  column('Status', podStatusText),
  column('Restarts', podRestarts),
  ageColumn,
  column(
    'IP',
    (pod) =>
      asString(at(pod, 'status', 'podIP')) || asString(at(asArray(at(pod, 'status', 'podIPs'))[0], 'ip')) || '<none>',
    { wide: true },
  ),
  column('Node', (pod) => asString(at(pod, 'spec', 'nodeName')) || '<none>', { wide: true }),
  column('Nominated Node', (pod) => asString(at(pod, 'status', 'nominatedNodeName')) || '<none>', { wide: true }),
  column('Readiness Gates', readinessGates, { wide: true }),
];

const templateColumns: readonly Column[] = [
  column('Containers', (o) => joined(containersOf(o, 'spec', 'template', 'spec').map((c) => asString(c['name']))), {
    wide: true,
  }),
  column('Images', (o) => joined(containersOf(o, 'spec', 'template', 'spec').map((c) => asString(c['image']))), {
    wide: true,
  }),
];
const selectorColumn = column('Selector', (o) => labelsText(at(o, 'spec', 'selector', 'matchLabels')), { wide: true });
const statusNumber = (name: string, field: string): Column =>
  column(name, (o) => number(at(o, 'status', field)), { type: 'integer' });

export const deploymentColumns: readonly Column[] = [
  nameColumn,
  column('Ready', (o) => `${number(at(o, 'status', 'readyReplicas'))}/${number(at(o, 'spec', 'replicas'))}`),
  statusNumber('Up-to-date', 'updatedReplicas'),
  statusNumber('Available', 'availableReplicas'),
  ageColumn,
  ...templateColumns,
  selectorColumn,
];

export const replicaSetColumns: readonly Column[] = [
  nameColumn,
  column('Desired', (o) => number(at(o, 'spec', 'replicas')), { type: 'integer' }),
  statusNumber('Current', 'replicas'),
  statusNumber('Ready', 'readyReplicas'),
  ageColumn,
  ...templateColumns,
  selectorColumn,
];

export const statefulSetColumns: readonly Column[] = [
  nameColumn,
  column('Ready', (o) => `${number(at(o, 'status', 'readyReplicas'))}/${number(at(o, 'spec', 'replicas'))}`),
  ageColumn,
  ...templateColumns,
];

export const daemonSetColumns: readonly Column[] = [
  nameColumn,
  statusNumber('Desired', 'desiredNumberScheduled'),
  statusNumber('Current', 'currentNumberScheduled'),
  statusNumber('Ready', 'numberReady'),
  statusNumber('Up-to-date', 'updatedNumberScheduled'),
  statusNumber('Available', 'numberAvailable'),
  column('Node Selector', (o) => labelsText(at(o, 'spec', 'template', 'spec', 'nodeSelector'))),
  ageColumn,
  ...templateColumns,
  selectorColumn,
];

const conditionIs = (object: JsonObject, type: string): boolean =>
  asObjects(at(object, 'status', 'conditions')).some((c) => c['type'] === type && c['status'] === 'True');

export const jobColumns: readonly Column[] = [
  nameColumn,
  column('Status', (o) => (conditionIs(o, 'Complete') ? 'Complete' : conditionIs(o, 'Failed') ? 'Failed' : 'Running')),
  column(
    'Completions',
    (o) => `${number(at(o, 'status', 'succeeded'))}/${asNumber(at(o, 'spec', 'completions')) ?? 1}`,
  ),
  column('Duration', (o, nowMs) => {
    const start = Date.parse(asString(at(o, 'status', 'startTime')));
    const end = Date.parse(asString(at(o, 'status', 'completionTime')));
    return Number.isNaN(start) ? '' : humanDuration((Number.isNaN(end) ? nowMs : end) - start);
  }),
  ageColumn,
  ...templateColumns,
  selectorColumn,
];

export const cronJobColumns: readonly Column[] = [
  nameColumn,
  column('Schedule', (o) => asString(at(o, 'spec', 'schedule'))),
  column('Timezone', (o) => asString(at(o, 'spec', 'timeZone')) || '<none>'),
  column('Suspend', (o) => (at(o, 'spec', 'suspend') === true ? 'True' : 'False')),
  column('Active', (o) => asArray(at(o, 'status', 'active')).length, { type: 'integer' }),
  column('Last Schedule', (o, nowMs) => {
    const last = at(o, 'status', 'lastScheduleTime');
    return last === undefined ? '<none>' : since(last, nowMs);
  }),
  ageColumn,
];
