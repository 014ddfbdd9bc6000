import type { V1Pod } from '@kubernetes/client-node';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { InjectionPlan } from './plan.ts';

/** AdmissionReview of `admission.k8s.io/v1` (Kubernetes documentation, "Dynamic Admission Control"). */

export interface AdmissionRequest {
  readonly uid: string;
  readonly namespace: string;
  readonly pod: V1Pod;
}

const API_VERSION = 'admission.k8s.io/v1';

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isOptional = (value: unknown, check: (value: unknown) => boolean): boolean =>
  value === undefined || value === null || check(value);
const isTextMap = (value: unknown): boolean =>
  isFields(value) && Object.values(value).every((each) => typeof each === 'string');
const isNamedList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => isFields(each) && typeof each['name'] === 'string');

/** The API server has checked the pod against its schema; here only what a wrong caller could break the plan with. */
function isPod(value: unknown): value is V1Pod {
  if (!isFields(value) || !isFields(value['spec'])) return false;
  const { metadata, spec } = value;
  return (
    isNamedList(spec['containers']) &&
    isOptional(spec['initContainers'], isNamedList) &&
    isOptional(spec['ephemeralContainers'], isNamedList) &&
    isOptional(spec['volumes'], isNamedList) &&
    isOptional(
      metadata,
      (each) => isFields(each) && isOptional(each['labels'], isTextMap) && isOptional(each['annotations'], isTextMap),
    )
  );
}

export function parseReview(body: string): Result<AdmissionRequest, string> {
  let review: unknown;
  try {
    review = JSON.parse(body);
  } catch {
    return err('the body is not JSON');
  }
  if (!isFields(review) || review['kind'] !== 'AdmissionReview' || review['apiVersion'] !== API_VERSION)
    return err(`the body is not an AdmissionReview of ${API_VERSION}`);
  const { request } = review;
  if (!isFields(request) || typeof request['uid'] !== 'string' || request['uid'] === '')
    return err('request.uid is missing');
  const { uid, namespace, object, resource } = request;
  if (!isFields(resource) || resource['resource'] !== 'pods') return err('request.resource is not pods');
  if (typeof namespace !== 'string' || namespace === '') return err('request.namespace is missing');
  return isPod(object) ? ok({ uid, namespace, pod: object }) : err('request.object is not a pod');
}

export const podName = (pod: V1Pod): string => pod.metadata?.name ?? `${pod.metadata?.generateName ?? ''}*`;

const envelope = (response: Fields): string =>
  JSON.stringify({ apiVersion: API_VERSION, kind: 'AdmissionReview', response });

/** Warnings are shown by kubectl; the API server cuts them at 256 characters each. */
export function reviewResponse(uid: string, plan: InjectionPlan): string {
  switch (plan.kind) {
    case 'skip':
      return envelope({ uid, allowed: true, auditAnnotations: { injection: `skipped: ${plan.reason}` } });
    case 'deny':
      return envelope({
        uid,
        allowed: false,
        status: { code: 403, reason: 'Forbidden', message: `weft: ${plan.message}` },
        auditAnnotations: { injection: `denied: ${plan.reason}` },
      });
    case 'patch':
      return envelope({
        uid,
        allowed: true,
        patchType: 'JSONPatch',
        patch: Buffer.from(JSON.stringify(plan.patch)).toString('base64'),
        ...(plan.warnings.length === 0 ? {} : { warnings: plan.warnings.map((text) => `weft: ${text}`) }),
        auditAnnotations: { injection: 'injected' },
      });
  }
}

/** Our own failure: the pod is refused, since one without its sidecar would be worse than none. */
export const failureResponse = (uid: string, message: string): string =>
  envelope({ uid, allowed: false, status: { code: 500, reason: 'InternalError', message: `weft: ${message}` } });
