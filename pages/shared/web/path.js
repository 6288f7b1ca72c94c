// The path player: frames decoded in the browser, their trust, and the way on the map.
import { array, decoderFor, el, mount, settled, snap3, styleForSize, theme } from "./common.js";
import { PathMap, TraceChart } from "./path_chart.js";
import { WalkTrust } from "./walk_trust.js";

const N_FILM = 12;
const SPEEDS = [["slow", 8], ["normal", 20], ["fast", 45]];

class PathView {
  constructor(host) {
    this.frame = 0;
    this.perSecond = 20;
    this.listeners = new AbortController();
    this.buildDom(host);
    window.addEventListener("keydown", (event) => this.key(event), { signal: this.listeners.signal, capture: true });
    this.fit = settled(() => this.map.resize(), 60);
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.mapCanvas);
  }

  buildDom(host) {
    this.canvas = el("canvas", { class: "lx-picture", "data-testid": "decoded-image", role: "img", "aria-label": "Frame of the path", width: 1, height: 1 });
    this.picture = el("div", { class: "lx-frame" }, this.canvas);
    this.trust = new WalkTrust(this.picture);
    this.mapCanvas = el("canvas", { class: "lx-path-map", role: "img", "aria-label": "The path on the map of all codes" });
    this.map = new PathMap(this.mapCanvas);
    this.chart = new TraceChart((i) => { this.pause(); this.show(i); });
    this.play = el("button", { type: "button", class: "lx-button", "data-testid": "path-play", "aria-keyshortcuts": "Space", title: "Play (Space)", on: { click: () => this.toggle() } }, el("span", { text: "Play" }), el("kbd", { text: "Space" }));
    this.scrub = el("input", { type: "range", class: "lx-range", min: 0, max: 1, step: 1, value: 0, "data-testid": "path-frame", "aria-label": "Frame of the path" });
    this.scrub.addEventListener("input", () => { this.pause(); this.show(Number(this.scrub.value)); });
    this.counter = el("span", { class: "lx-number lx-counter", "data-testid": "path-counter" });
    this.speed = el("select", { class: "lx-select", "aria-label": "Speed", "data-testid": "path-speed" }, ...SPEEDS.map(([name, fps]) => el("option", { value: fps, text: `${name}, ${fps} frames/s` })));
    this.speed.value = "20";
    this.speed.addEventListener("change", () => { this.perSecond = Number(this.speed.value); this.play.focus(); });
    this.film = el("div", { class: "lx-film" });
    this.traceTitle = el("p", { class: "lx-detail" });
    this.notice = el("div", { class: "lx-notice lx-notice-inline", role: "status" }, el("span", { class: "lx-spinner" }), el("span", { text: "Loading the decoder" }));
    this.mapTitle = el("p", { class: "lx-detail" });
    this.body = el("div", { class: "lx-path-body" },
      el("div", { class: "lx-path-top" }, el("div", { class: "lx-path-picture" }, this.picture, this.trust.root), el("div", { class: "lx-path-side" }, this.mapCanvas, this.mapTitle)),
      el("div", { class: "lx-path-controls" }, this.play, this.scrub, this.counter, this.speed), this.film, this.chart.root, this.traceTitle);
    this.root = el("div", { class: "lx-root lx-path", "data-testid": "latent-path" }, this.notice, this.body);
    host.append(this.root);
  }

  update(args) {
    this.data = args.data;
    const { model, version } = this.data, built = `${model.key} ${version}`;
    const look = this.look();
    if (built !== this.built) {
      this.built = built;
      this.load(look).catch((error) => this.fail(error));
    } else if (this.frames && JSON.stringify(look) !== JSON.stringify(this.map.look)) this.drawMap(look);
  }

  look() {
    const page = getComputedStyle(this.root).getPropertyValue("--st-background-color").trim() || "#fff";
    return { ...theme(this.root), page };
  }

  async load(look) {
    const mine = this.built;
    const { model, projection, frames, colour } = this.data;
    this.pause();
    this.root.removeAttribute("data-ready");
    this.notice.hidden = Boolean(this.decoder);
    const [decoder, points, values] = await Promise.all([decoderFor(model), array(projection.xy, "f32"), colour && array(colour.values, "u8"), this.trust.load(this.data)]);
    if (mine !== this.built) return;
    this.decoder = decoder;
    this.points = points;
    this.groups = colour && { values, n: colour.names.length };
    this.notice.hidden = true;
    styleForSize(this.canvas, decoder.shape);
    this.frames = frames.map((z) => Float64Array.from(z, snap3));
    this.scrub.max = this.frames.length - 1;
    this.mapTitle.textContent = `The path on ${projection.label} of all codes${colour ? `, coloured by ${colour.label}` : ""}`;
    this.drawMap(look);
    this.drawTrace();
    this.buildFilm();
    this.show(Math.min(this.frame, this.frames.length - 1));
    this.root.dataset.ready = "true";
  }

  drawMap(look) {
    const { points, groups, data } = this;
    this.map.draw({ points, groups, path: data.xy, stops: data.stops, look });
  }

  fail(error) {
    this.built = null;
    this.notice.hidden = false;
    this.notice.classList.add("lx-error");
    this.notice.replaceChildren(el("span", { text: `The path could not be shown. ${error.message}` }));
    console.error(error);
  }

  drawTrace() {
    const found = this.frames.map((z) => this.trust.of(z)).filter(Boolean);
    this.chart.root.toggleAttribute("hidden", !found.length);
    if (!found.length) { this.traceTitle.textContent = "Too few real codes to say how far is far."; return; }
    const usual = this.data.trust.limits.distance[0];
    this.chart.draw(found, usual);
    this.traceTitle.textContent = `Distance of each frame to the nearest real code; the line, at ${usual.toFixed(1)}\u00d7 the typical distance, is what is still usual.`;
  }

  buildFilm() {
    const n = Math.min(N_FILM, this.frames.length);
    const places = Array.from({ length: n }, (_, i) => Math.round(i * (this.frames.length - 1) / Math.max(1, n - 1)));
    this.thumbs = places.map((place) => {
      const canvas = el("canvas", { width: 1, height: 1 });
      styleForSize(canvas, this.decoder.shape);
      this.decoder.paint(canvas, this.frames[place]);
      return { place, button: el("button", { type: "button", class: "lx-thumb-button", tabindex: "-1", "aria-label": `Frame ${place + 1}`, title: `Frame ${place + 1}`, on: { click: () => { this.pause(); this.show(place); } } }, canvas) };
    });
    this.film.replaceChildren(...this.thumbs.map((thumb) => thumb.button));
  }

  show(i) {
    this.frame = i;
    this.decoder.paint(this.canvas, this.frames[i]);
    this.trust.follow(this.frames[i]);
    this.map.show(i);
    this.chart.show(i);
    this.scrub.value = i;
    this.scrub.style.setProperty("--lx-fill", `${100 * i / Math.max(1, this.frames.length - 1)}%`);
    this.counter.textContent = `${i + 1} of ${this.frames.length}`;
    const near = this.thumbs.reduce((best, thumb) => (Math.abs(thumb.place - i) < Math.abs(best.place - i) ? thumb : best));
    for (const thumb of this.thumbs) thumb.button.classList.toggle("lx-here", thumb === near);
  }

  // ---- play ---------------------------------------------------------------------------------------
  toggle() {
    if (this.playing) { this.pause(); return; }
    if (!this.frames) return;
    if (this.frame >= this.frames.length - 1) this.show(0);
    let last = performance.now(), owed = 0;
    const step = (now) => {
      if (!this.playing) return;
      owed += Math.min(0.25, Math.max(0, now - last) / 1000) * this.perSecond;  // the frame's time may lie before the click's
      last = now;
      const whole = Math.floor(owed);
      owed -= whole;
      if (whole) this.show(Math.min(this.frames.length - 1, this.frame + whole));
      if (this.frame >= this.frames.length - 1) { this.pause(); return; }
      this.playing = requestAnimationFrame(step);
    };
    this.playing = requestAnimationFrame(step);
    this.showPlay();
  }

  pause() {
    cancelAnimationFrame(this.playing);
    this.playing = null;
    this.showPlay();
  }

  showPlay() {
    this.root.toggleAttribute("data-playing", Boolean(this.playing));
    this.play.firstChild.textContent = this.playing ? "Pause" : "Play";
    this.play.title = `${this.playing ? "Pause" : "Play"} (Space)`;
  }

  /** Space plays where nothing else wants it: with the player or nothing at all in focus. */
  key(event) {
    const { target } = event;
    if (event.key !== " " || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.decoder) return;
    const isOurs = target === document.body || (this.root.contains(target) && !target.matches("select, .lx-thumb-button"));
    if (!isOurs) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.toggle();
  }

  destroy() {
    this.listeners.abort();
    this.observer.disconnect();
    this.pause();
    for (const late of [this.fit, this.trust.later]) late.cancel();
    this.root.remove();
  }
}

export const mountPath = (args) => mount(PathView, args);
