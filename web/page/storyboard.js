// Scrubs through a video's storyboard with the pointer, a finger or the arrow keys.

const CUE = /(\S+) --> (\S+).*\n.*#xywh=(\d+),(\d+),(\d+),(\d+)/g;
const seconds = (timestamp) => timestamp.split(':').reduce((sum, digits) => sum * 60 + Number(digits), 0);

async function load({ storyboardUrl, storyboardImageUrl }) {
  const image = new Image();
  image.src = storyboardImageUrl;
  const [response] = await Promise.all([fetch(storyboardUrl), image.decode()]);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const tiles = [...(await response.text()).matchAll(CUE)].map(([, start, end, ...box]) => (
    { start: seconds(start), end: seconds(end), box: box.map(Number) }));
  if (!tiles.length) throw new Error('no cues');
  return { image, tiles };
}

export class Storyboard {
  constructor(el, clock, renew) {
    Object.assign(this, { el, clock, renew, at: 0 });
    [this.canvas, this.label] = el.children;
    for (const type of ['pointerenter', 'pointermove', 'pointerdown']) {
      el.addEventListener(type, (event) => {
        const { left, width } = el.getBoundingClientRect();
        this.move(() => ((event.clientX - left) / width) * this.end);
      });
    }
    for (const type of ['pointerleave', 'pointercancel', 'blur']) el.addEventListener(type, () => this.hide());
    el.addEventListener('keydown', (event) => {
      const { key } = event;
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[key];
      if (key === 'Escape') this.hide();
      else if (key === 'Home' || key === 'End') this.move(() => (key === 'End' ? this.end : 0));
      else if (step) this.move(() => this.tiles[this.tile + step]?.start ?? (step < 0 ? 0 : this.end));
      else return;
      event.preventDefault();
    });
  }

  // Updates the video. A new upload of it discards the loaded storyboard.
  show(video) {
    const previous = this.video;
    this.video = video;
    this.el.hidden = video.status !== 'PROCESSED' || !video.storyboardUrl;
    this.el.ariaValueMax = Math.round((video.durationMs ?? 0) / 1000);
    this.el.ariaValueNow = 0;
    this.el.ariaValueText = this.clock(0);
    if (previous?.status !== video.status) this.loading = this.image = this.tiles = undefined;
  }

  get end() { return this.tiles.at(-1).end; }

  get tile() { return this.tileAt(this.at); }

  tileAt(at) { return Math.max(0, this.tiles.findLastIndex(({ start }) => start <= at)); }

  // Draws the tile of a time in seconds.
  paint(canvas, at) {
    const [x, y, w, h] = this.tiles[this.tileAt(at)].box;
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    canvas.getContext('2d').drawImage(this.image, x, y, w, h, 0, 0, w, h);
  }

  // Loads the storyboard on first use and returns its tiles.
  async ready() {
    this.loading ??= this.fetch();
    await this.loading;
    return this.tiles;
  }

  // Shows the tile of the time that `timeOf` returns, which is called once the storyboard is loaded.
  async move(timeOf) {
    this.pending = timeOf;
    await this.ready();
    // Skip it if the pointer has left or moved on in the meantime.
    if (this.tiles && this.pending === timeOf) this.draw(Math.min(this.end, Math.max(0, timeOf())));
  }

  async fetch() {
    try {
      // Signed URLs expire while the page stays open. A second failure has another cause.
      Object.assign(this, await load(this.video).catch(async () => load(await this.renew())));
      this.el.ariaValueMax = Math.round(this.end);
    } catch {
      this.el.hidden = true; // the poster remains visible
    }
  }

  draw(at) {
    this.at = at;
    this.paint(this.canvas, at);
    this.label.textContent = this.clock(at * 1000);
    this.el.ariaValueNow = Math.round(at);
    this.el.ariaValueText = this.label.textContent;
    this.el.style.setProperty('--progress', at / this.end);
    this.el.classList.add('shown');
  }

  hide() {
    this.pending = undefined;
    this.el.classList.remove('shown');
  }
}
