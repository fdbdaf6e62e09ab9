// The annotator's routes. `fetchApi(path, options)` is ComfyUI's; errors carry the server's sentence.

const PREFIX = "/xmempp/annotator";

/** A refusal of the server, or no answer at all (status 0). */
export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function refusal(reply) {
  const text = await reply.text();
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text;
  }
}

/** Client of the routes. */
export class Server {
  constructor(fetchApi) {
    this.fetchApi = fetchApi;
  }

  async #ask(path, options) {
    let reply;
    try {
      reply = await this.fetchApi(PREFIX + path, { cache: "default", ...options });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ServerError(`the server does not answer: ${error.message}`, 0);
    }
    if (reply.ok) return reply;
    const sentence = await refusal(reply);
    throw new ServerError(sentence || `the server refused ${path}: ${reply.status}`, reply.status);
  }

  async #json(path, options) {
    return (await this.#ask(path, options)).json();
  }

  #post(path, body) {
    const headers = { "Content-Type": "application/json" };
    return this.#json(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  source = (key) => this.#json(`/sources/${key}`);

  async frame(key, frame, width, signal) {
    return (await this.#ask(`/sources/${key}/frames/${frame}?width=${width}`, { signal })).blob();
  }

  async postMask(project, png) {
    const options = { method: "POST", headers: { "Content-Type": "image/png" }, body: png };
    return (await this.#json(`/projects/${project}/masks`, options)).mask;
  }

  async mask(project, hash) {
    return (await this.#ask(`/projects/${project}/masks/${hash}`)).blob();
  }

  async postRevision(project, document) {
    return (await this.#post(`/projects/${project}/revisions`, document)).revision;
  }

  revisions = (project) => this.#json(`/projects/${project}/revisions`);

  revision = (project, hash) => this.#json(`/projects/${project}/revisions/${hash}`);

  sweep = (project, keep) => this.#post(`/projects/${project}/sweep`, { keep });

  save = (project, name, revision, source) => this.#post(`/projects/${project}/save`, { name, revision, source });

  async exportFile(project, revision) {
    return (await this.#ask(`/projects/${project}/export?revision=${revision}`)).blob();
  }

  importFile = (zip) => this.#json("/projects/import", { method: "POST", body: zip });

  async select(request, signal) {
    const headers = { "Content-Type": "application/json" };
    return (await this.#ask("/select", { method: "POST", headers, body: JSON.stringify(request), signal })).blob();
  }

  result = (token) => this.#json(`/results/${token}`);

  async resultMap(token, frame) {
    return (await this.#ask(`/results/${token}/${frame}`)).blob();
  }

  async matte(token, frame, object) {
    return (await this.#ask(`/results/${token}/${frame}/matte/${object}`)).blob();
  }
}
