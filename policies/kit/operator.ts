/** How commands prove to the control plane that an operator of the mesh runs them. */

/** Of a token that is asked for in the name of a service account of the mesh's own namespace. */
export const OPERATOR_AUDIENCE = 'weft.dev/operator';
/** An account of the mesh's namespace that may do nothing else: whoever may have a token of it is an operator. */
export const OPERATOR_ACCOUNT = 'weft-operator';
/** The API server's proxy takes `Authorization` off. */
export const OPERATOR_HEADER = 'x-weft-operator';
