import { getCurrentEventLoop, getUint32, getUint64, setUint32 } from 'node:ffi';

/** libuv whose structures are known here: `uv_loop_t` of include/uv.h, `uv__loop_internal_fields_t` of src/uv-common.h. */
const KNOWN_LIBUV = /^1\.52\./;
/** Behind `data`, `active_handles`, `handle_queue` and `active_reqs`. */
const INTERNAL_FIELDS_OFFSET = 40;
/** The first of the internal fields are the flags, of which Node sets this one alone. */
const UV_METRICS_IDLE_TIME = 1;

/**
 * Lets this thread's event loop wait with one system call. Node has libuv measure how long it is idle, for
 * `performance.eventLoopUtilization()`, and then libuv asks the kernel twice before each wait: once without waiting. Nobody
 * asks for that figure here; from now on it says that the loop is never idle (decision 026). False: all is as it was.
 */
export function waitWithOnePoll(): boolean {
  if (!KNOWN_LIBUV.test(process.versions.uv ?? '')) return false;
  try {
    const fields = getUint64(getCurrentEventLoop(), INTERNAL_FIELDS_OFFSET);
    // Anything else is not what is known here.
    if (getUint32(fields) !== UV_METRICS_IDLE_TIME) return false;
    setUint32(fields, 0, 0);
    return true;
  } catch {
    // Without the right to native functions.
    return false;
  }
}
