// What a node of this pack shows is what its last run gave.
//
// The frontend keeps three things of earlier runs beside it: the last small picture of the progress
// bar (the newer canvas then shows two pictures), the pictures of a node that fails, and the line that
// a node had written on itself.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";

const LINE = "$$node-text-preview";
const PICTURE = "$$canvas-image-preview";
const LETTER_WIDTH = 7;
const LINE_HEIGHT = 18;

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
  const place = node.widgets?.findIndex((widget) => widget.name === name) ?? -1;
  if (place < 0) return;
  node.widgets[place].onRemove?.();
  node.widgets.splice(place, 1);
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
  if (!detail.output?.text?.length) removeWidget(node, LINE);
  node.setDirtyCanvas?.(true, true);
}

function onFailed({ detail }) {
  const node = ourNode(detail.node_id);
  if (!node) return;
  pictures()?.setNodePreviewsByExecutionId?.(detail.node_id, []);
  pictures()?.removeNodeOutputsForNode?.(node);
  removePictures(node);
  removeWidget(node, LINE);
  node.setDirtyCanvas?.(true, true);
}

/** Room for the whole line; the frontend gives it two rows and cuts the rest. */
function onLine({ detail }) {
  const node = ourNode(detail.nodeId);
  const widget = node?.widgets?.find((one) => one.name === LINE);
  if (!widget) return;
  const letters = Math.max(20, (node.size[0] - 60) / LETTER_WIDTH);
  const height = 40 + LINE_HEIGHT * Math.ceil(detail.text.length / letters);
  widget.options.getMinHeight = () => height;
  const [width, needed] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], needed)]);
  node.setDirtyCanvas?.(true, true);
}

app.registerExtension({
  name: "XMemPP.NodePictures",
  setup() {
    api.addEventListener("executed", onExecuted);
    api.addEventListener("execution_error", onFailed);
    api.addEventListener("progress_text", (event) => requestAnimationFrame(() => onLine(event)));
  },
});
