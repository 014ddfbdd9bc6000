import { createKubeClient } from '../client/client.ts';
import { parseKubeconfig } from '../client/kubeconfig.ts';
import { createContext, reflectorsOf } from './context.ts';
import { DeploymentController } from './deployment.ts';
import { EndpointsController } from './endpoints.ts';
import { JobController } from './job.ts';
import { NamespaceDefaults } from './namespaces.ts';
import { ReplicaSetController } from './replica-set.ts';
import { Scheduler } from './scheduler.ts';

interface ControllerOptions {
  /** Text of a kubeconfig with the rights of the controllers. */
  readonly kubeconfig: string;
  /** The API's certificate authority, published to every namespace. */
  readonly caPem: string;
  readonly onError?: (message: string) => void;
}

export interface Controllers {
  close(): Promise<void>;
}

/** Starts everything that Kubernetes' controller manager and scheduler do here; resolves when all of it has its first view. */
export async function startControllers(options: ControllerOptions): Promise<Controllers> {
  const parsed = parseKubeconfig(options.kubeconfig);
  if (!parsed.ok) throw new Error(`controllers' kubeconfig: ${parsed.message}`);
  const client = createKubeClient(parsed.connection, 'weft-controllers');
  const context = createContext(client, options.caPem, options.onError ?? (() => {}));
  await Promise.all(reflectorsOf(context).map((reflector) => reflector.synced));
  const controllers = [
    new NamespaceDefaults(context),
    new Scheduler(context),
    new ReplicaSetController(context),
    new DeploymentController(context),
    new JobController(context),
    new EndpointsController(context),
  ];
  return {
    close: async () => {
      for (const reflector of reflectorsOf(context)) reflector.close();
      await Promise.all(controllers.map((controller) => controller.close()));
      client.close();
    },
  };
}
