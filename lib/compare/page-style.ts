/** The look of a comparison's page: light or dark as the reader's system is, narrow or wide. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #18181b; --pale: #62626a; --line: #d9d9de; --mark: #1d5fd1; --soft: #eef3fc;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #141417; --ink: #ececf0; --pale: #a2a2ac; --line: #37373e; --mark: #7fb0ff; --soft: #1d2738; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { margin: 0; font-size: 1.35rem; line-height: 1.3; overflow-wrap: anywhere; }
.about { margin: .25rem 0 1rem; color: var(--pale); overflow-wrap: anywhere; }
fieldset { margin: 0 0 .75rem; padding: 0; border: 0; display: flex; flex-wrap: wrap; gap: .4rem; min-width: 0; }
legend { padding: 0; color: var(--pale); font-size: .85rem; }
fieldset input { position: absolute; opacity: 0; }
fieldset label { position: relative; max-width: 100%; }
fieldset span {
  display: block; padding: .2rem .7rem; border: 1px solid var(--line); border-radius: 99px; cursor: pointer;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
fieldset input:checked + span { border-color: var(--mark); background: var(--soft); color: var(--mark); }
fieldset input:focus-visible + span { outline: 2px solid var(--mark); outline-offset: 2px; }
/* Tall pictures stay on the screen as a whole. */
figure { margin: 0 0 1.5rem; width: min(100%, 40rem, 78vh * var(--width) / var(--height)); }
.stage {
  position: relative; overflow: hidden; width: 100%; border-radius: 6px; background: #000; cursor: ew-resize;
  aspect-ratio: var(--width) / var(--height);
  touch-action: pan-y; user-select: none; -webkit-user-select: none;
}
.pictures, .pictures img { position: absolute; inset: 0; width: 100%; height: 100%; }
.pictures { isolation: isolate; }
.small img { image-rendering: pixelated; }
img[hidden] { display: none; }
img:not([data-run="0"]) { clip-path: inset(0 0 0 var(--at, 50%)); }
.difference .pictures { filter: brightness(8); }
.difference img:not([data-run="0"]) { clip-path: none; mix-blend-mode: difference; }
.difference .bar, .difference .name { display: none; }
.bar {
  position: absolute; top: 0; bottom: 0; left: var(--at, 50%); width: 2px; margin-left: -1px; pointer-events: none;
  background: #fff; box-shadow: 0 0 3px #000a;
}
.name {
  position: absolute; top: .5rem; max-width: 45%; padding: .05rem .5rem; border-radius: 4px; pointer-events: none;
  background: #000a; color: #fff; font-size: .8rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;
}
.left { left: .5rem; }
.right { right: .5rem; }
#wipe { display: block; width: 100%; margin: .6rem 0 .3rem; accent-color: var(--mark); }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: .25rem 1rem; font-size: .9rem; }
output { font-variant-numeric: tabular-nums; white-space: pre-wrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { padding-bottom: .3rem; color: var(--pale); text-align: left; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { padding-left: .4rem; text-align: left; }
thead th { color: var(--pale); font-weight: 500; }
tbody th { font-weight: 500; }
.current > * { background: var(--soft); }
`;
