// The look: ComfyUI's own colors, so that it follows light and dark, under one class.

const CSS = `
.xmempp-annotator { --fg: var(--input-text, var(--fg-color, #ddd)); --bg: var(--comfy-menu-bg, #202020);
  --field: var(--comfy-input-bg, #2a2a2a); --line: var(--border-color, #4e4e4e);
  --quiet: var(--descrip-text, #999); --accent: #4c9be8; --stage: #161616;
  container-type: inline-size; box-sizing: border-box; display: flex; flex-direction: column; gap: 4px;
  width: 100%; height: 100%; min-height: 460px; padding: 4px; overflow: hidden; border-radius: 6px;
  background: var(--bg); color: var(--fg); font: 12px/1.35 system-ui, sans-serif; user-select: none;
  text-align: start; }
.xmempp-annotator *, .xmempp-annotator *::before { box-sizing: border-box; }
.xmempp-annotator [hidden] { display: none !important; }
.xmempp-annotator svg { width: 16px; height: 16px; flex: none; fill: none; stroke: currentColor;
  stroke-width: 1.4; stroke-linecap: round; stroke-linejoin: round; }
.xmempp-annotator button, .xmempp-annotator select, .xmempp-annotator input[type=text] {
  min-height: 26px; min-width: 26px; padding: 0 5px; border: 1px solid transparent; border-radius: 5px;
  background: transparent; color: inherit; font: inherit; }
.xmempp-annotator button { display: inline-flex; align-items: center; justify-content: center; gap: 5px;
  cursor: pointer; white-space: nowrap; }
.xmempp-annotator select, .xmempp-annotator input[type=text] { background: var(--field); border-color: var(--line); }
.xmempp-annotator option { background: var(--bg); color: var(--fg); }
.xmempp-annotator button:hover:not(:disabled) { background: color-mix(in srgb, var(--fg) 14%, transparent); }
.xmempp-annotator button[aria-pressed=true], .xmempp-annotator button[aria-checked=true] {
  background: color-mix(in srgb, var(--accent) 30%, transparent); border-color: var(--accent); }
.xmempp-annotator button:disabled { opacity: .38; cursor: default; }
.xmempp-annotator button.main { background: var(--accent); color: #06121f; font-weight: 600; padding: 0 10px; }
.xmempp-annotator button.main:hover:not(:disabled) { background: color-mix(in srgb, var(--accent) 82%, #fff); }
.xmempp-annotator button.plain { border-color: var(--line); }
.xmempp-annotator button.danger { background: #b3372f; color: #fff; }
.xmempp-annotator :focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.xmempp-annotator .row { display: flex; align-items: center; gap: 2px; flex-wrap: wrap; }
.xmempp-annotator .group { display: flex; align-items: center; gap: 1px; padding-inline-end: 5px;
  margin-inline-end: 3px; border-inline-end: 1px solid var(--line); }
.xmempp-annotator .group:last-child { border: 0; margin: 0; padding: 0; }
.xmempp-annotator .spring { flex: 1 1 0; }
.xmempp-annotator label.slider { display: flex; align-items: center; gap: 5px; color: var(--quiet); padding: 0 3px; }
.xmempp-annotator label.slider input { width: 74px; height: 24px; accent-color: var(--accent); }
.xmempp-annotator label.slider output { min-width: 30px; color: var(--fg); font-variant-numeric: tabular-nums; }
.xmempp-annotator .body { flex: 1 1 0; min-height: 0; display: flex; gap: 4px; }
.xmempp-annotator .stage { position: relative; flex: 1 1 0; min-width: 0; min-height: 0; overflow: hidden;
  border-radius: 4px; background: var(--stage); }
.xmempp-annotator .stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none;
  display: block; }
.xmempp-annotator .stage.paints canvas { cursor: none; }
.xmempp-annotator .stage.points canvas { cursor: crosshair; }
.xmempp-annotator .badge { position: absolute; top: 6px; padding: 2px 7px; border-radius: 4px;
  background: #000000b8; color: #fff; pointer-events: none; }
.xmempp-annotator .badge.number { left: 6px; font: 600 15px/1.3 ui-monospace, monospace; }
.xmempp-annotator .badge.number small { font: 11px system-ui, sans-serif; opacity: .78; margin-inline-start: 6px; }
.xmempp-annotator .badge.state { right: 6px; max-width: 62%; text-align: end; }
.xmempp-annotator .badge.state::before { content: ""; display: inline-block; width: 8px; height: 8px;
  margin-inline-end: 6px; border-radius: 50%; background: var(--dot, #999); }
.xmempp-annotator .badge.hint { top: auto; bottom: 6px; left: 50%; transform: translateX(-50%); white-space: nowrap; }
.xmempp-annotator .cover { position: absolute; inset: 0; display: flex; flex-direction: column; gap: 10px;
  align-items: center; justify-content: center; text-align: center; padding: 16px; color: #ddd; background: var(--stage); }
.xmempp-annotator .cover p { margin: 0; max-width: 44ch; color: #b5b5b5; }
.xmempp-annotator .cover h3 { margin: 0; font-size: 15px; }
.xmempp-annotator .panel { width: 186px; flex: none; display: flex; flex-direction: column; gap: 4px; min-height: 0; }
.xmempp-annotator .panel h4 { margin: 2px 4px 0; font-size: 11px; font-weight: 600; color: var(--quiet); }
.xmempp-annotator .objects { flex: 1 1 0; min-height: 52px; overflow: auto; margin: 0; padding: 0; list-style: none;
  border: 1px solid var(--line); border-radius: 5px; background: var(--field); }
.xmempp-annotator .objects li { display: flex; align-items: center; border-inline-start: 3px solid transparent; }
.xmempp-annotator .objects li.active { background: color-mix(in srgb, var(--accent) 22%, transparent);
  border-inline-start-color: var(--accent); }
.xmempp-annotator .objects .name { flex: 1 1 0; min-width: 0; justify-content: start; padding: 0 3px; }
.xmempp-annotator .objects .name[aria-pressed=true] { background: none; border-color: transparent; font-weight: 600; }
.xmempp-annotator .objects .name span { overflow: hidden; text-overflow: ellipsis; }
.xmempp-annotator .objects input[type=text] { flex: 1 1 0; min-width: 0; }
.xmempp-annotator .swatch { flex: none; min-width: 20px; height: 20px; padding: 0 3px; border-radius: 4px;
  font: 600 11px/20px ui-monospace, monospace; text-align: center; color: #000; }
.xmempp-annotator .objects .said { font-size: 10px; color: var(--quiet); flex: none; }
.xmempp-annotator .objects .empty { padding: 8px; color: var(--quiet); white-space: normal; }
.xmempp-annotator .ask { padding: 6px; border: 1px solid #b3372f; border-radius: 5px; background: var(--field); }
.xmempp-annotator .ask p { margin: 0 0 6px; user-select: text; }
.xmempp-annotator .timeline { position: relative; height: 98px; flex: none; border-radius: 4px; overflow: hidden;
  background: var(--stage); }
.xmempp-annotator .timeline:focus-within { outline: 2px solid var(--accent); outline-offset: 0; }
.xmempp-annotator .timeline canvas { position: absolute; inset: 0; width: 100%; height: 100%; touch-action: none;
  cursor: ew-resize; }
.xmempp-annotator .timeline input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  pointer-events: none; }
.xmempp-annotator .status { display: flex; gap: 8px; align-items: center; min-height: 18px; color: var(--quiet); }
.xmempp-annotator .status .live { flex: 1 1 0; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.xmempp-annotator .messages { display: flex; flex-direction: column; gap: 3px; max-height: 30%; overflow: auto; flex: none; }
.xmempp-annotator .message { display: flex; align-items: start; gap: 6px; padding: 3px 6px; border-radius: 4px;
  background: color-mix(in srgb, #d29922 24%, var(--field)); user-select: text; overflow-wrap: anywhere; }
.xmempp-annotator .message.error { background: color-mix(in srgb, #b3372f 34%, var(--field)); }
.xmempp-annotator .message span { flex: 1 1 0; padding-top: 4px; }
.xmempp-annotator progress { width: 120px; height: 8px; accent-color: var(--accent); }
.xmempp-annotator .menu { position: relative; display: inline-flex; }
.xmempp-annotator .menu .list { position: absolute; bottom: calc(100% + 4px); inset-inline-end: 0; z-index: 5; display: flex;
  flex-direction: column; gap: 2px; min-width: 210px; max-width: 380px; max-height: 300px; overflow: auto; padding: 6px;
  border: 1px solid var(--line); border-radius: 6px; background: var(--bg); box-shadow: 0 6px 20px #0008; }
.xmempp-annotator .menu .list.start { inset-inline: 0 auto; }
.xmempp-annotator .menu .list button { justify-content: start; text-align: start; white-space: normal; padding: 3px 6px; }
.xmempp-annotator .menu .list p { margin: 2px 4px; color: var(--quiet); }
.xmempp-annotator .menu .list label { display: flex; gap: 6px; align-items: center; padding: 2px 6px; }
.xmempp-annotator .menu .list label > :last-child { flex: 1 1 0; min-width: 0; }
.xmempp-annotator .help { position: absolute; inset: 8px; z-index: 6; overflow: auto; padding: 12px 16px; border-radius: 8px;
  background: #101010f2; color: #eee; }
.xmempp-annotator .help h3 { margin: 0 0 8px; font-size: 14px; display: flex; justify-content: space-between; align-items: center; }
.xmempp-annotator .help dl { columns: 230px; column-gap: 24px; margin: 0; }
.xmempp-annotator .help dl div { display: flex; gap: 8px; break-inside: avoid; padding: 2px 0; }
.xmempp-annotator .help dt { flex: 0 0 84px; }
.xmempp-annotator .help dd { margin: 0; color: #c4c4c4; }
.xmempp-annotator kbd { padding: 0 5px; border: 1px solid #666; border-bottom-width: 2px; border-radius: 4px;
  background: #2b2b2b; font: 11px ui-monospace, monospace; }
.xmempp-annotator .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@container (max-width: 640px) {
  .xmempp-annotator .panel { width: 138px; }
  .xmempp-annotator .wide { display: none; }
}
dialog.xmempp-large { width: min(1800px, 97vw); max-width: none; height: 95vh; max-height: none; padding: 0; border: 1px solid #555;
  border-radius: 8px; background: var(--comfy-menu-bg, #202020); overflow: hidden; }
dialog.xmempp-large::backdrop { background: #000a; }
dialog.xmempp-large .xmempp-annotator { border-radius: 0; padding: 8px; }
dialog.xmempp-large .panel { width: 250px; }
dialog.xmempp-large .timeline { height: 118px; }
@media (prefers-reduced-motion: no-preference) {
  .xmempp-annotator button { transition: background-color .12s; }
}`;

/** Puts the rules on the page, once. */
export function addStyle() {
  if (document.querySelector("style[data-xmempp-annotator]")) return;
  const style = document.createElement("style");
  style.dataset.xmemppAnnotator = "";
  style.textContent = CSS;
  document.head.append(style);
}
