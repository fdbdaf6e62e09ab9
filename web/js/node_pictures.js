// What a node of this pack shows is what its last run gave: its pictures, and a line that says what
// the artist must know (nothing is annotated yet, the plate has changed, why it failed).
//
// The frontend keeps two things of earlier runs beside that: the last small picture of the progress
// bar, so that the newer canvas shows two pictures, and the pictures of a node that fails. Of an error
// it says only that there is one.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

const LINE = "xmempp_line";
const PICTURE = "$$canvas-image-preview";
const LETTER_WIDTH = 6.5;
const ROW_HEIGHT = 17;

/** Nodes whose line is the error of the last run. */
const failed = new Set();

/** The frontend's own store of pictures; undefined where a frontend has none of that name. */
const pictures = () => app.extensionManager?._p?._s?.get("nodeOutput");

/** The node of an execution id such as "8:4" (node 4 in the subgraph of node 8), if it is ours. */
function ourNode(executionId) {
  let graph = app.rootGraph ?? app.graph;
  let node;
  for (const part of String(executionId).split(":")) {
    node = graph?.getNodeById(part);
    graph = node?.subgraph;
  }
  return node?.type?.startsWith("XMemPP") ? node : undefined;
}

function removeWidget(node, name) {
  const widget = node.widgets?.find((one) => one.name === name);
  if (!widget) return;
  if (node.removeWidget) return node.removeWidget(widget);
  widget.onRemove?.();
  node.widgets.splice(node.widgets.indexOf(widget), 1);
}

function lineHeight(node, text) {
  const letters = Math.max(20, (node.size[0] - 40) / LETTER_WIDTH);
  const rows = text.split("\n").map((row) => Math.max(1, Math.ceil(row.length / letters)));
  return 12 + ROW_HEIGHT * rows.reduce((sum, count) => sum + count, 0);
}

function addLine(node) {
  const element = document.createElement("div");
  element.setAttribute("role", "status");
  element.style.cssText = `overflow: auto; overflow-wrap: anywhere; white-space: pre-line;
    user-select: text; padding: 2px 6px; color: var(--fg-color, #ddd); background: transparent;
    font: 12px/${ROW_HEIGHT}px sans-serif;`;
  const widget = node.addDOMWidget(LINE, "xmempp_line", element, {
    serialize: false,
    hideOnZoom: false,
    getValue: () => element.textContent,
    setValue: () => {},
    getMinHeight: () => 20 + lineHeight(node, element.textContent),
  });
  widget.serialize = false;
  return widget;
}

/** Writes a line on a node, in full; "" takes it away. */
function setLine(node, text) {
  failed.delete(node);
  if (!text) return removeWidget(node, LINE);
  const widget = node.widgets?.find((one) => one.name === LINE) ?? addLine(node);
  widget.element.textContent = text;
  widget.element.style.minHeight = `${lineHeight(node, text)}px`;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

/** What the older canvas holds beside the store. */
function removePictures(node) {
  node.imgs = node.images = node.preview = undefined;
  removeWidget(node, PICTURE);
}

function onExecuted({ detail }) {
  const executionId = detail.display_node ?? detail.node;
  const node = ourNode(executionId);
  if (!node) return;
  pictures()?.setNodePreviewsByExecutionId?.(executionId, []);
  if (!detail.output?.images?.length) removePictures(node);
  setLine(node, (detail.output?.text ?? []).join("\n"));
  node.setDirtyCanvas?.(true, true);
}

function onFailed({ detail }) {
  const node = ourNode(detail.node_id);
  if (!node) return;
  pictures()?.setNodePreviewsByExecutionId?.(detail.node_id, []);
  pictures()?.removeNodeOutputsForNode?.(node);
  removePictures(node);
  setLine(node, String(detail.exception_message ?? "").trim());
  failed.add(node);
  node.setDirtyCanvas?.(true, true);
}

function onStart() {
  for (const node of [...failed]) setLine(node, "");
}

app.registerExtension({
  name: "XMemPP.NodePictures",
  setup() {
    api.addEventListener("execution_start", onStart);
    api.addEventListener("executed", onExecuted);
    api.addEventListener("execution_error", onFailed);
  },
});
