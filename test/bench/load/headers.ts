/** A trace context as an application sends it (W3C Trace Context, section 3.2): both proxies carry it on. */
export const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
