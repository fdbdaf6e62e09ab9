// A prompt with one request to the annotator: what the node needs from the graph, and nothing else.

const isLink = (value) => Array.isArray(value) && value.length === 2
  && typeof value[0] === "string" && typeof value[1] === "number";

/** Ids of the nodes that some links come from, and all behind them. */
export function ancestors(output, inputs) {
  const found = new Set();
  const open = Object.values(inputs).filter(isLink).map(([id]) => id);
  while (open.length) {
    const id = open.pop();
    if (found.has(id) || !output[id]) continue;
    found.add(id);
    open.push(...Object.values(output[id].inputs).filter(isLink).map(([other]) => other));
  }
  return found;
}

/**
 * The prompt of a request.
 *
 * @param output the API form of the whole graph (graphToPrompt)
 * @param nodeId execution id of the annotator, "8:4" inside a subgraph
 * @param project the widget's value
 * @param request { action, ... }; a request to open loads no network
 * @returns the prompt, or null where the node is not in the graph's prompt or has no frames
 */
export function requestPrompt(output, nodeId, project, request) {
  const node = output[nodeId];
  if (!node || !isLink(node.inputs.frames)) return null;
  const { model, frames, annotations, track } = node.inputs;
  const links = { frames, annotations, track, ...(request.action === "open" ? {} : { model }) };
  const inputs = Object.fromEntries(Object.entries(links).filter(([, value]) => isLink(value)));
  const kept = [...ancestors(output, inputs)].map((id) => [id, output[id]]);
  const made = { class_type: "XMemPPAnnotatorRequest", inputs: { ...inputs, project, request: JSON.stringify(request) } };
  return { ...Object.fromEntries(kept), [requestId(nodeId)]: made };
}

/** Id of the request's node in its prompt. */
export const requestId = (nodeId) => `${nodeId}:request`;
