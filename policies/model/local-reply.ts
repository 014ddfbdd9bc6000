import type { AccessLogFilter, LogFormat } from './access-log.ts';
import type { HeaderMutation } from './route.ts';

/** What becomes of responses that the proxy makes itself. The first mapper whose filter passes it changes a reply. */
export interface LocalReplies {
  readonly mappers: readonly LocalReplyMapper[];
  /** Of bodies; undefined: they stay as they are. */
  readonly body: LocalReplyFormat | undefined;
}

export interface LocalReplyMapper {
  readonly filter: AccessLogFilter;
  /** Undefined: as it is. */
  readonly status: number | undefined;
  /** What `%LOCAL_REPLY_BODY%` stands for; undefined: the body as it is. */
  readonly text: string | undefined;
  /** In place of the format for all. */
  readonly body: LocalReplyFormat | undefined;
  readonly headers: HeaderMutation;
}

export interface LocalReplyFormat {
  readonly format: LogFormat;
  readonly contentType: string;
}
