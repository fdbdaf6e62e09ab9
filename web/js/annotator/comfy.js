// The little that is asked of ComfyUI's frontend: execution ids, prompts of our own, the queue.
import { app } from "../../../../scripts/app.js";
import { api } from "../../../../scripts/api.js";
import { requestId, requestPrompt } from "./prompt.js";

/** Execution id of a node, "8:4" inside a subgraph; null where it is in no graph. */
export function executionId(node, graph = app.rootGraph ?? app.graph) {
  for (const other of graph._nodes) {
    if (other === node) return String(node.id);
    const inner = other.subgraph && executionId(node, other.subgraph);
    if (inner) return `${other.id}:${inner}`;
  }
  return null;
}

/** Jobs by prompt id, and what has been heard of prompts whose id is not known yet. */
const jobs = new Map();
const early = new Map();
const listeners = new Set();
let remaining = 0;

function hear(type, detail) {
  const id = detail?.prompt_id;
  const job = jobs.get(id);
  if (job) return job.hear(type, detail);
  if (!id) return undefined;
  early.set(id, [...(early.get(id) ?? []), [type, detail]]);
  if (early.size > 20) early.delete(early.keys().next().value);
  return undefined;
}

/** Calls back when the queue has changed; the function returned ends that. */
export function onQueue(run) {
  listeners.add(run);
  return () => listeners.delete(run);
}

const tellQueue = () => { for (const run of [...listeners]) run(); };

/** Whether nothing waits or runs but jobs of this page. */
export const isFree = () => remaining - jobs.size <= 0;

/** Hears the server; once, in setup(). */
export function listen() {
  for (const type of ["execution_start", "executed", "execution_success", "execution_error", "execution_interrupted"])
    api.addEventListener(type, ({ detail }) => hear(type, detail));
  api.addEventListener("status", ({ detail }) => {
    remaining = detail?.exec_info?.queue_remaining ?? 0;
    tellQueue();
  });
}

/** Why a prompt was refused, in one sentence. */
function refusal(error) {
  const reply = error.response ?? {};
  const ofNodes = Object.values(reply.node_errors ?? {}).flatMap((one) => one.errors ?? []);
  const parts = ofNodes.map((one) => [one.message, one.details].filter(Boolean).join(": "));
  return parts.join("; ") || reply.error?.message || error.message;
}

/** A prompt of our own. */
class Job {
  isRunning = false;
  isCanceled = false;
  #outputs = {};

  constructor(nodeId, onStart) {
    Object.assign(this, { nodeId, onStart });
    this.promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
  }

  async send(prompt, workflow) {
    try {
      const reply = await api.queuePrompt(0, { output: prompt, workflow });
      this.id = reply.prompt_id;
    } catch (error) {
      return this.reject(new Error(refusal(error)));
    }
    jobs.set(this.id, this);
    const heard = early.get(this.id) ?? [];
    early.delete(this.id);
    for (const [type, detail] of heard) this.hear(type, detail);
    if (this.isStopped) this.cancel();
    else if (this.isCanceled) this.withdraw();
  }

  hear(type, detail) {
    if (type === "execution_start") {
      this.isRunning = true;
      this.onStart?.();
    } else if (type === "executed") {
      if (detail.node === requestId(this.nodeId)) Object.assign(this.#outputs, detail.output);
    } else this.#end(type, detail);
  }

  #end(type, detail) {
    jobs.delete(this.id);
    if (type === "execution_success") this.resolve(this.#outputs);
    else if (type === "execution_interrupted") this.resolve(null);
    else this.reject(new Error(String(detail.exception_message ?? "").trim() || this.nodeId));
    tellQueue();
  }

  /** Takes it out of the queue, or stops it. */
  cancel() {
    this.isStopped = true;
    if (this.isRunning) api.interrupt(this.id);
    else this.withdraw();
  }

  /** Takes it out of the queue while it waits there; one that runs is left to end. */
  withdraw() {
    if (this.isRunning) return;
    this.isCanceled = true;
    if (!jobs.has(this.id)) return;
    api.deleteItem("queue", this.id);
    jobs.delete(this.id);
    this.resolve(null);
    tellQueue();
  }
}

/** Starts a request of a node; `t` has the words for a node that is not wired. */
export function start(node, request, value, onStart, t) {
  const nodeId = executionId(node);
  const job = new Job(nodeId, onStart);
  (async () => {
    try {
      const { output, workflow } = await app.graphToPrompt();
      const prompt = requestPrompt(output, nodeId, value, request);
      if (!prompt) throw new Error(t("notWired"));
      if (job.isCanceled) return job.resolve(null);
      await job.send(prompt, workflow);
    } catch (error) {
      job.reject(error);
    }
    return undefined;
  })();
  return job;
}

/** Puts a node behind an output of another, to the right of it. */
export function addBehind(node, type, output, input) {
  const made = window.LiteGraph.createNode(type);
  made.pos = [node.pos[0] + node.size[0] + 60, node.pos[1]];
  node.graph.add(made);
  const from = node.outputs.findIndex((one) => one.name === output);
  const to = made.inputs.findIndex((one) => one.name === input);
  node.connect(from, made, to);
  return made;
}

/** The language of the frontend: "en", "zh", "ja", ... */
export const language = () => String(app.extensionManager?.setting?.get("Comfy.Locale") ?? "en").split("-")[0];
export { app, api };
