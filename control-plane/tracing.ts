/** The control plane's own traces, loaded only when somebody collects them. */

export interface Tracing {
  stop(): Promise<void>;
}

export async function startTracing(enabled: boolean): Promise<Tracing> {
  if (!enabled) return { stop: async () => undefined };
  const { NodeSDK } = await import('@opentelemetry/sdk-node');
  // Endpoint, protocol and sampling come from the OTEL_ variables, as the specification says.
  const sdk = new NodeSDK({ serviceName: 'weft-control-plane' });
  sdk.start();
  return { stop: () => sdk.shutdown() };
}
