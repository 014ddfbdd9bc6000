import type { Address, PlaintextPorts, ServicePort } from '@weft/policies/model/address';
import type { Pod, Service } from '../index/core.ts';
import { objectKey } from '../index/objects.ts';
import { toldModes } from './authentication.ts';
import { connectionRoutes } from './connection-routes.ts';
import { identityOf, type TranslateContext, zoneOf } from './context.ts';
import { headlessPortOf } from './headless.ts';
import { directName, outboundName } from './names.ts';
import { type PodPort, podPorts, servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';

/** What an IP stands for; undefined where the mesh does not know it. */
export function translateAddress(context: TranslateContext, clientNamespace: string, ip: string): Address | undefined {
  const [service] = context.state.services.by('ip', ip);
  if (service !== undefined) return serviceAddress(context, clientNamespace, service);
  const pods = context.state.pods.by('ip', ip);
  // While a new pod takes over the address of one that is going, it belongs to the new one.
  const pod = pods.find((one) => !one.terminating) ?? pods[0];
  return pod === undefined ? undefined : workloadAddress(context, pod);
}

function serviceAddress({ state }: TranslateContext, clientNamespace: string, service: Service): Address {
  const { namespace, name } = service.metadata;
  return {
    kind: 'service',
    namespace,
    name,
    ports: service.ports.map((port): ServicePort => {
      const protocol = servicePortProtocol(state, service, port);
      const resource = outboundName({ namespace, service: name, port: port.port });
      const routed = connectionRoutes(state, clientNamespace, service, port);
      if (routed !== undefined) return { port: port.port, ...routed, routeConfiguration: '', cluster: resource };
      return {
        port: port.port,
        protocol,
        routeConfiguration: carriesHttp(protocol) ? resource : '',
        cluster: resource,
      };
    }),
  };
}

function workloadAddress(context: TranslateContext, pod: Pod): Address {
  const [canonical] = context.state.servicesSelecting(pod);
  return {
    kind: 'workload',
    namespace: pod.metadata.namespace,
    name: pod.metadata.name,
    spiffeId: identityOf(context, pod),
    workloadName: pod.workload,
    zone: zoneOf(context, pod.nodeName),
    ...(pod.nodeName === '' ? {} : { node: pod.nodeName }),
    mtls: pod.meshed,
    ...plaintextPorts(context, pod),
    service: canonical?.metadata.name ?? '',
    ports: podPorts(context.state, pod).map((port) => directPort(context, pod, port)),
    terminating: pod.terminating && context.isDrained(objectKey(pod.metadata)),
  };
}

/** Where its policy has callers do without mesh TLS. */
function plaintextPorts(context: TranslateContext, pod: Pod): { readonly plaintext?: PlaintextPorts } {
  const { ports, others } = toldModes(context, objectKey(pod.metadata), pod);
  const unlike = [...ports].filter(([, mode]) => (mode === 'DISABLED') !== (others === 'DISABLED'));
  if (others !== 'DISABLED' && unlike.length === 0) return {};
  return { plaintext: { ports: unlike.map(([port]) => port), others: others === 'DISABLED' } };
}

/** Straight to a pod there is neither route nor cluster, but for those of a headless Service that it belongs to. */
function directPort({ state }: TranslateContext, pod: Pod, { port, protocol }: PodPort): ServicePort {
  const headless = headlessPortOf(state, pod, port);
  if (headless === undefined) return { port, protocol, routeConfiguration: '', cluster: '' };
  const { namespace, name } = headless.service.metadata;
  const resource = directName({ namespace, service: name, port: headless.port.port });
  const said = servicePortProtocol(state, headless.service, headless.port);
  return { port, protocol: said, routeConfiguration: carriesHttp(said) ? resource : '', cluster: resource };
}
