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
  /** WebSocket addresses of the page's own origin, instead of the ports; for the agent's own page. */
  addresses?: readonly string[];
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
  state: "empty" | "card" | "mute" | "busy" | "unnameable" | "unavailable";
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

/** A certificate that ends within 60, 14 or 1 days, or has ended, in the words that the person is told. */
export interface CertificateExpiry {
  zh: string;
  en: string;
  urgency: "soon" | "near" | "last-day" | "ended";
  notAfter: string;
  daysLeft: number;
  next: { zh: string; en: string };
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
  /** null as long as the signature certificate lasts for more than 60 days. */
  expiry: CertificateExpiry | null;
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
  expiry?: CertificateExpiry;
}

/** web-eid:1.0 */
export interface LoginToken {
  unverifiedCertificate: string;
  algorithm: string;
  signature: string;
  format: string;
  appVersion: string;
}

export type SignatureFormat = "pkcs1" | "cms" | "cades" | "xades" | "xmldsig" | "pades" | "emr" | "jws" | "fhir";
export type SignatureLevel = "B-B" | "B-T" | "B-LT" | "B-LTA";

/** How a document is signed. */
export interface SignatureChoice {
  hash?: HashName;
  /** `pkcs1`: the bare signature value; `cms`: SignedData with the signer's certificate; the others last. */
  format?: SignatureFormat;
  /** A time stamp and what verifies it later; the administrator lists who stamps. */
  level?: SignatureLevel;
  /** Without the document in it; left out, `cades` is without it and the others hold it. */
  detached?: boolean;
  /** What the signature is for. */
  reason?: string;
  /** The signature field of a PDF. */
  field?: string;
  /** Where it is seen in a PDF: 1 for the first page, -1 for the last. */
  page?: number;
  /** Countersign the last signature of a CMS message. */
  over?: boolean;
  /** The document, where `document` is a signature without it. */
  content?: Bytes;
  /** The file's name: the person sees it, and a detached XML signature refers to it. */
  name?: string;
}

export interface Signature {
  /** The value, the message, or the signed document with its signature inside; base64. */
  signature: string;
  certificate: string;
  format: SignatureFormat;
  hash: HashName;
  /** Of a signature that lasts. */
  level?: SignatureLevel;
}

/** What one PIN is good for, as far as it is not used up. */
export interface SessionStatus {
  /** How many signatures can still be made. */
  left: number;
  secondsLeft: number;
}

export interface SigningSession extends SessionStatus {
  /** Shown to use it; a secret of this page. Keep it in sessionStorage to go on after a reload, within a minute. */
  session: string;
  /** The card's certificate, base64. */
  certificate: string;
}

export type SessionEnd =
  | "used-up"
  | "time"
  | "card"
  | "locked"
  | "gone"
  | "stopped"
  | "closed"
  | "policy"
  | "pin"
  | "agent";

export interface BatchDocument extends SignatureChoice {
  document: Bytes;
}

/** What became of one document; `index` is its place in the list. */
export type BatchItem =
  | { index: number; result: Signature; error?: undefined }
  | { index: number; result?: undefined; error: HcaAgentError };

export interface BatchProgress {
  done: number;
  failed: number;
  of: number;
  /** Documents a second, of late. */
  rate: number;
  secondsLeft?: number;
}

export interface BatchDone {
  done: number;
  failed: number;
  /** Documents that nothing was done with. */
  left: number;
  seconds: number;
  /** Why it ended before its last document; null where it did not. */
  stopped: HcaAgentError | null;
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
 * What went wrong. Every id is in docs/errors.md; those of this file beside those of the agent: `agent.not_running`, `agent.blocked` (the browser's
 * Local Network Access), `origin.refused`, `agent.too_old`, `busy`, `agent.disconnected`, `agent.timeout`.
 */
/** What the signatures of a document are worth; schema.json has the sentences' languages and every member. */
export interface DocumentReport {
  name: string;
  kind: string;
  size: number;
  sha256: string;
  verdict: "valid" | "valid-with-remark" | "cannot-be-decided" | "invalid";
  zh: string;
  en: string;
  signatures: SignatureReport[];
  remarks: { finding: string; zh: string; en: string; detail: string }[];
}

export interface SignatureReport {
  number: number;
  format: string;
  level: string;
  verdict: DocumentReport["verdict"];
  unchanged: boolean;
  signer: { name: string; category: string; institution: string; card: string; simulated: boolean } | null;
  time: string | null;
  timeSource: "time-stamp" | "signer" | "none";
  timeAuthority: string;
  signs: string;
  over: number;
  reason: string;
  algorithm: string;
  chain: { subject: string; sha256: string }[];
  revocation: {
    state: "good" | "revoked" | "unknown";
    source: string;
    embedded: boolean;
    at: string | null;
    revokedAt: string | null;
  } | null;
  remarks: DocumentReport["remarks"];
}

export class HcaAgentError extends Error {
  constructor(data: ErrorData);
  readonly id: string;
  readonly zh: string;
  readonly en: string;
  readonly nextZh: string;
  readonly nextEn: string;
  readonly triesLeft: number | null;
  readonly retryAfter: number | null;
  /**
   * `agent.blocked`: who blocks. The person or their administrator ("permission"), the browser's question that got
   * no yes ("question"), the page around a frame without `allow="loopback-network"` ("frame"), a page without https
   * ("insecure"). Null for every other error.
   */
  readonly reason: "permission" | "question" | "frame" | "insecure" | null;
}

export interface Title {
  zh: string;
  en: string;
}

/** A row of the self-test; texts are Chinese, then English after " · " where it differs. Masked. */
export interface SelfTestRow {
  id: string;
  title: Title;
  status: "pass" | "warn" | "fail" | "skip";
  detail: string;
  ms: number;
  /** `same_as`: the id of an earlier row that failed for the same cause. */
  error?: { id: string; zh: string; en: string; next: string; same_as?: string };
  /** This kind of card does not have what the row is about, which is no fault of the card. */
  absent?: boolean;
}

/** A row that the browser itself found out (browser-check.js). */
export interface BrowserRow {
  id: string;
  zh: string;
  en: string;
  status: "pass" | "warn" | "fail" | "skip";
  detailZh: string;
  detailEn: string;
  ms: number;
  error: { id: string; zh: string; en: string; nextZh: string; nextEn: string } | null;
}

/** The event `selftest.begun`: the rows that will come. */
export interface SelfTestBegun {
  rows: {
    id: string;
    title: Title;
    group: string;
    /** The row's number on the HCA page; null for rows that are not on it. */
    number: number | null;
    /** Whether the person may be asked something in it. */
    person: boolean;
  }[];
  groups: Record<string, Title>;
}

/** selftest.schema.json */
export interface SelfTestReport {
  ok: boolean;
  agent: { name: string; version: string };
  time: string;
  simulated: boolean;
  masked: boolean;
  rows: SelfTestRow[];
}

export interface SelfTestParams {
  /** The rows of the HCA page for an ordinary reader (一般讀卡機, the default), or for an NHI reader. */
  variant?: "ordinary" | "nhi-reader";
  /** Whether the rows that need a PIN are wanted; the agent asks the person for it. Default true. */
  pin?: boolean;
  reader?: string;
  onRow?: (row: SelfTestRow | BrowserRow) => void;
}

/** Which card is meant; left out, it is the only one that will do, or the person chooses. */
export interface WhichCard {
  reader?: string;
  /** One of these kinds; any other is refused as `card.wrong_kind`. */
  cardKind?: readonly CardKind[];
}

export interface HcaAgentEvents {
  "reader.changed": CustomEvent<{ readers: Reader[] }>;
  "card.changed": CustomEvent<{ reader: Reader }>;
  /** A signing session of this connection ended; the sentence is for the person. */
  "session.ended": CustomEvent<{ session: string; reason: SessionEnd; zh: string; en: string }>;
  /** `signBatch` has functions for these two. */
  "batch.item": CustomEvent<{ batch: string; index: number; result?: Signature; error?: ErrorData }>;
  "batch.progress": CustomEvent<BatchProgress & { batch: string }>;
  "selftest.begun": CustomEvent<SelfTestBegun>;
  "selftest.row": CustomEvent<{ row: SelfTestRow }>;
  disconnected: CustomEvent<{ id: string }>;
}

export class HcaAgent extends EventTarget {
  constructor(options?: HcaAgentOptions);
  readonly hello: Hello | null;
  readonly connected: boolean;
  connect(options?: CallOptions): Promise<this>;
  close(): void;
  readers(options?: CallOptions): Promise<{ readers: Reader[] }>;
  card(params?: WhichCard, options?: CallOptions): Promise<Card>;
  certificates(params?: WhichCard, options?: CallOptions): Promise<{ certificates: CardCertificate[] }>;
  pinStatus(params?: WhichCard, options?: CallOptions): Promise<Pin>;
  /** The person types the PIN and the new one in the agent's own window; the page sees neither. */
  pinChange(params?: WhichCard, options?: CallOptions): Promise<{}>;
  /** The person types the PUK and a new PIN in the agent's own window; the page sees neither. */
  pinUnblock(params?: WhichCard, options?: CallOptions): Promise<{}>;
  /** `browser` is empty where browser-check.js is not served beside agent.js. */
  selftest(params?: SelfTestParams, options?: CallOptions): Promise<{ report: SelfTestReport; browser: BrowserRow[] }>;
  selftestReport(
    /** `unmasked`: for the agent's own page. */
    params?: { browser?: readonly BrowserRow[]; unmasked?: false },
    options?: CallOptions,
  ): Promise<{ report: SelfTestReport; html: string }>;
  /** `nonce`: from your server, base64 of at least 32 random bytes, good once. */
  authenticate(params: WhichCard & { nonce: string }, options?: CallOptions): Promise<LoginToken>;
  sign(
    params: WhichCard & SignatureChoice & {
      document?: Bytes;
      /** Only for origins that the administrator lists. */
      digest?: Bytes;
      key?: "signature" | "encryption";
    },
    options?: CallOptions,
  ): Promise<Signature>;
  /**
   * One PIN for many signatures: at most `signatures` (250 where left out, or as many as the administrator allows)
   * within `minutes` (30). The person agrees in the agent's own window, and can stop it at any time.
   */
  sessionOpen(params?: WhichCard & { signatures?: number; minutes?: number }, options?: CallOptions): Promise<SigningSession>;
  /** Begin as many at once as you like: four are under way, which keeps the card at work. */
  sessionSign(
    params: SignatureChoice & { session: string; document: Bytes },
    options?: CallOptions,
  ): Promise<Signature & { left: number }>;
  sessionStatus(params: { session: string }, options?: CallOptions): Promise<SessionStatus>;
  sessionClose(params: { session: string }, options?: CallOptions): Promise<{}>;
  /**
   * Many documents, at most 32 MB in all, with one PIN: the person agrees to the list of their names, sizes and
   * formats in the agent's own window. Each result is told as it is made; aborting `signal` ends it.
   */
  signBatch(
    items: readonly BatchDocument[],
    options?: WhichCard & {
      onItem?: (item: BatchItem) => void;
      onProgress?: (progress: BatchProgress) => void;
      signal?: AbortSignal;
    },
  ): Promise<BatchDone>;
  verify(
    params: {
      /** The signed document, or what a detached signature is over. */
      document: Bytes;
      signature?: Bytes;
      /** For a signature that does not hold it. */
      certificate?: Bytes;
      hash?: HashName;
      name?: string;
    },
    options?: CallOptions,
  ): Promise<{ valid: boolean; report: DocumentReport; error?: ErrorData }>;
  encrypt(
    params: WhichCard & {
      data: Bytes;
      /** `pkcs1`: one RSA block, up to 245 bytes; `cms`: AuthEnvelopedData with AES-256-GCM, up to 32 MiB. */
      format?: "pkcs1" | "cms";
      certificate?: Bytes;
      /** Of several recipients, instead; with `cms`. */
      certificates?: readonly Bytes[];
    },
    options?: CallOptions,
  ): Promise<{ cipher: string }>;
  decrypt(params: WhichCard & { cipher: Bytes; format?: "pkcs1" | "cms" }, options?: CallOptions): Promise<{ data: string }>;
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
