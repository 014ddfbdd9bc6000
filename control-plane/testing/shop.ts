/** A small shop: `web` calls `cart`, which runs on two pods with sidecars. */
export const shopObjects = `
kind: Service
metadata: { name: cart, namespace: shop }
spec:
  clusterIPs: [10.96.0.10, "fd00::10"]
  selector: { app: cart }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
---
kind: Service
metadata: { name: cart-v2, namespace: shop }
spec:
  clusterIPs: [10.96.0.12]
  selector: { app: cart, version: v2 }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
---
kind: EndpointSlice
metadata: { name: cart-1, namespace: shop, labels: { kubernetes.io/service-name: cart } }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints:
  - { addresses: [10.1.0.1], conditions: { ready: true }, targetRef: { kind: Pod, name: cart-a, namespace: shop } }
  - { addresses: [10.1.0.2], conditions: { ready: true }, targetRef: { kind: Pod, name: cart-b, namespace: shop } }
---
${pod('cart-a', 'cart', '10.1.0.1', 'uid-cart-a', '')}
---
${pod('cart-b', 'cart', '10.1.0.2', 'uid-cart-b', '')}
---
${pod('web-a', 'web', '10.1.0.3', 'uid-web-a', '')}
`;

export function pod(name: string, app: string, ip: string, uid: string, deletionTimestamp: string): string {
  return `
kind: Pod
metadata:
  name: ${name}
  namespace: shop
  uid: ${uid}
  labels: { app: ${app}, pod-template-hash: abc12 }
  ${deletionTimestamp === '' ? '' : `deletionTimestamp: "${deletionTimestamp}"`}
  ownerReferences: [{ kind: ReplicaSet, name: ${app}-abc12, controller: true }]
spec:
  serviceAccountName: ${app}
  containers: [{ name: app, ports: [{ name: http, containerPort: 8080 }] }]
  initContainers: [{ name: weft-proxy, restartPolicy: Always }]
status:
  phase: Running
  podIP: ${ip}
  podIPs: [{ ip: ${ip} }]
  initContainerStatuses: [{ name: weft-proxy, ready: true, started: true, restartCount: 0 }]
`;
}

export const shopTokens = `
tokens:
  - { token: web-token, namespace: shop, serviceAccount: web, pod: web-a, uid: uid-web-a }
  - { token: cart-token, namespace: shop, serviceAccount: cart, pod: cart-a, uid: uid-cart-a }
  - { token: stale-token, namespace: shop, serviceAccount: cart, pod: cart-a, uid: uid-of-an-earlier-pod }
  - { token: expired-token, namespace: shop, serviceAccount: web, pod: web-a, uid: uid-web-a, expires: "2020-01-01T00:00:00Z" }
  - { token: api-token, namespace: shop, serviceAccount: web, pod: web-a, uid: uid-web-a, audience: kubernetes.default.svc }
  - { token: unbound-token, namespace: shop, serviceAccount: web }
`;

export const webToken = { token: 'web-token' };
export const web = { pod: 'web-a', namespace: 'shop' };
