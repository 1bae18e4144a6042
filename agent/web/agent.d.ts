/** The version of the native API that agent.js speaks. */
export const API: 1;

export interface HcaAgentOptions {
  /** Milliseconds that a call may take; people have to find their card and type a PIN. Default 300000. */
  timeout?: number;
  /** Milliseconds for finding the agent. Default 3000. */
  connectTimeout?: number;
  /** Milliseconds for the person to answer the browser's Local Network Access question. Default 60000. */
  permissionTimeout?: number;
  /** Default 56445, 56545, 56645; on macOS 54445, 54545, 54645. */
  tlsPorts?: readonly number[];
  /** The port in the clear; 0 for none. Default 56440. */
  plainPort?: number;
}

export interface CallOptions {
  signal?: AbortSignal;
}

/** Base64 text, or bytes. */
export type Bytes = string | ArrayBuffer | ArrayBufferView;
export type HashName = "SHA-1" | "SHA-224" | "SHA-256" | "SHA-384" | "SHA-512";
export type CardKind = "hpc" | "hop" | "hop-secondary" | "nhi" | "citizen" | "pkcs15";

export interface Hello {
  agent: string;
  version: string;
  api: number;
  capabilities: string[];
  simulated: boolean;
}

export interface Reader {
  name: string;
  state: "empty" | "card" | "mute" | "busy" | "unavailable";
  pinPad: boolean;
  virtual: boolean;
}

export interface Pin {
  /** null where the card does not say. */
  triesLeft: number | null;
  locked: boolean;
  minLength: number;
  maxLength: number;
}

export type Holder =
  | {
      holderType: "personnel";
      name: string;
      englishName: string;
      sex: string;
      birth: string;
      idNumber: string;
      category: string;
      categoryText: string;
    }
  | {
      holderType: "institution";
      code: string;
      name: string;
      cardSequence: string;
      kind: string;
      type: string;
      address: string;
      telephone: string;
      owner: string;
    }
  | { holderType: "insured"; name: string; idNumber: string; birth: string; sex: string }
  | { holderType: "citizen"; name: string };

export interface CardInfo {
  generatesKeys: boolean;
  issued: string;
  validFrom: string;
  validTo: string;
  activated: boolean;
  terminated: boolean;
}

export interface Card {
  reader: string;
  kind: CardKind;
  kindText: { zh: string; en: string };
  version: string;
  serial: string;
  simulated: boolean;
  holder: Holder | null;
  info: CardInfo | null;
  issued: string;
  pin: Pin | null;
}

export interface CardCertificate {
  index: number;
  use: "ca" | "signature" | "encryption" | "intermediate" | "root";
  certificate: string;
  subject?: string;
  issuer?: string;
  serialNumber?: string;
  notBefore?: string;
  notAfter?: string;
}

/** web-eid:1.0 */
export interface LoginToken {
  unverifiedCertificate: string;
  algorithm: string;
  signature: string;
  format: string;
  appVersion: string;
}

export interface Signature {
  signature: string;
  certificate: string;
  format: "pkcs1";
  hash: HashName;
}

export interface ErrorData {
  id: string;
  zh: string;
  en: string;
  nextZh: string;
  nextEn: string;
  triesLeft?: number | null;
  retryAfter?: number | null;
}

/**
 * What went wrong. Ids of this file beside those of the agent: `agent.not_running`, `agent.blocked` (the browser's
 * Local Network Access), `origin.refused`, `agent.too_old`, `busy`, `agent.disconnected`, `agent.timeout`.
 */
export class HcaAgentError extends Error {
  constructor(data: ErrorData);
  readonly id: string;
  readonly zh: string;
  readonly en: string;
  readonly nextZh: string;
  readonly nextEn: string;
  readonly triesLeft: number | null;
  readonly retryAfter: number | null;
}

export interface HcaAgentEvents {
  "reader.changed": CustomEvent<{ readers: Reader[] }>;
  "card.changed": CustomEvent<{ reader: Reader }>;
  disconnected: CustomEvent<{ id: string }>;
}

export class HcaAgent extends EventTarget {
  constructor(options?: HcaAgentOptions);
  readonly hello: Hello | null;
  readonly connected: boolean;
  connect(options?: CallOptions): Promise<this>;
  close(): void;
  readers(options?: CallOptions): Promise<{ readers: Reader[] }>;
  card(params?: { reader?: string }, options?: CallOptions): Promise<Card>;
  certificates(params?: { reader?: string }, options?: CallOptions): Promise<{ certificates: CardCertificate[] }>;
  pinStatus(params?: { reader?: string }, options?: CallOptions): Promise<Pin>;
  authenticate(params: { nonce: string; reader?: string }, options?: CallOptions): Promise<LoginToken>;
  sign(
    params: {
      document?: Bytes;
      /** Only for origins that the administrator lists. */
      digest?: Bytes;
      hash?: HashName;
      format?: "pkcs1";
      key?: "signature" | "encryption";
      reader?: string;
    },
    options?: CallOptions,
  ): Promise<Signature>;
  verify(
    params: { document: Bytes; signature: Bytes; certificate: Bytes; hash?: HashName },
    options?: CallOptions,
  ): Promise<{ valid: boolean; error?: ErrorData }>;
  encrypt(
    params: { data: Bytes; certificate?: Bytes; reader?: string },
    options?: CallOptions,
  ): Promise<{ cipher: string }>;
  decrypt(params: { cipher: Bytes; reader?: string }, options?: CallOptions): Promise<{ data: string }>;
  call(method: string, params?: object, options?: CallOptions): Promise<unknown>;
  addEventListener<K extends keyof HcaAgentEvents>(
    type: K,
    listener: (event: HcaAgentEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
