/** `shop` becomes `shop-shadow`, and `shop:8080` `shop-shadow:8080`: logs of the receiver tell copies apart, as with Envoy. */
export function shadowHost(authority: string): string {
  const colon = authority.lastIndexOf(':');
  if (colon < 0 || authority.endsWith(']')) return `${authority}-shadow`;
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}
