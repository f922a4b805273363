/** The path under which every call of the contract lives, but those marked `atRoot`. */
export const BASE_PATH = "/rest/management/v2";
