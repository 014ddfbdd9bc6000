/** `weft.authorization.v1`, by hand: reports go on for as long as there are requests. */
import type { DecisionReport, FlowReport } from '@weft/policies/model/decision-report';
import { fieldsOf, MessageWriter } from '../grpc/protobuf.ts';

export function encodeReport(node: string, { hits, flows, lost, history = [] }: DecisionReport): Buffer {
  const message = new MessageWriter().text(1, node);
  for (const { rule, hits: count } of hits) message.message(2, new MessageWriter().text(1, rule).number(2, count));
  for (const flow of flows) message.message(3, encodeFlow(flow));
  message.number(4, lost);
  for (const { flow, hour, heldBy } of history) {
    const past = new MessageWriter().message(1, encodeFlow(flow)).number(2, hour);
    for (const instance of heldBy) past.text(3, instance);
    message.message(5, past);
  }
  return message.finish();
}

/** Who has taken it; empty: a control plane that does not say. */
export function decodeReported(bytes: Buffer): string {
  let instance = '';
  for (const { number, value } of fieldsOf(bytes))
    if (number === 1 && Buffer.isBuffer(value)) instance = value.toString();
  return instance;
}

const encodeFlow = (flow: FlowReport): MessageWriter =>
  new MessageWriter()
    .text(1, flow.identity)
    .text(2, flow.ip)
    .text(3, flow.method)
    .text(4, flow.host)
    .text(5, flow.path)
    .text(6, flow.example)
    .number(7, flow.port)
    .number(8, flow.denied ? 1 : 0)
    .number(9, flow.count);
