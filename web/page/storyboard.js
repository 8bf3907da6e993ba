// Shows the part of a video that the pointer, a finger or the arrow keys are at: a tile of its storyboard.

const CUE = /(\S+) --> (\S+).*\n.*#xywh=(\d+),(\d+),(\d+),(\d+)/g;
const seconds = (stamp) => stamp.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);

async function load({ storyboardUrl, storyboardImageUrl }) {
  const image = new Image();
  image.src = storyboardImageUrl;
  const [reply] = await Promise.all([fetch(storyboardUrl), image.decode()]);
  if (!reply.ok) throw new Error(`status ${reply.status}`);
  const tiles = [...(await reply.text()).matchAll(CUE)].map(([, start, end, ...box]) => (
    { start: seconds(start), end: seconds(end), box: box.map(Number) }));
  if (!tiles.length) throw new Error('no cues');
  return { image, tiles };
}

export class Storyboard {
  constructor(el, name, clock, renew) {
    Object.assign(this, { el, clock, renew, at: 0 });
    [this.canvas, this.label] = el.children;
    el.setAttribute('aria-label', `Look through ${name}`);
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

  // The video as it is now; it may have been uploaded again.
  show(video) {
    const known = this.video;
    this.video = video;
    this.el.hidden = video.status !== 'PROCESSED' || !video.storyboardUrl;
    this.el.ariaValueMax = Math.round((video.durationMs ?? 0) / 1000);
    this.el.ariaValueNow = 0;
    this.el.ariaValueText = this.clock(0);
    if (known?.status !== video.status) this.loading = this.image = this.tiles = undefined;
  }

  get end() { return this.tiles.at(-1).end; }

  get tile() { return this.tileAt(this.at); }

  tileAt(at) { return Math.max(0, this.tiles.findLastIndex(({ start }) => start <= at)); }

  // Draws the tile of a moment.
  paint(canvas, at) {
    const [x, y, w, h] = this.tiles[this.tileAt(at)].box;
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    canvas.getContext('2d').drawImage(this.image, x, y, w, h, 0, 0, w, h);
  }

  // Loaded at the first touch.
  async ready() {
    this.loading ??= this.fetch();
    await this.loading;
    return this.tiles;
  }

  // `where` is asked once there is something to be somewhere in.
  async move(where) {
    this.wanted = where;
    await this.ready();
    // Left meanwhile, or gone on.
    if (this.tiles && this.wanted === where) this.draw(Math.min(this.end, Math.max(0, where())));
  }

  async fetch() {
    try {
      // A signed address expires while the page stays open; a second failure is not about that.
      Object.assign(this, await load(this.video).catch(async () => load(await this.renew())));
      this.el.ariaValueMax = Math.round(this.end);
    } catch {
      this.el.hidden = true; // the still poster remains
    }
  }

  draw(at) {
    this.at = at;
    this.paint(this.canvas, at);
    this.label.textContent = this.clock(at * 1000);
    this.el.ariaValueNow = Math.round(at);
    this.el.ariaValueText = this.label.textContent;
    this.el.style.setProperty('--part', at / this.end);
    this.el.classList.add('shown');
  }

  hide() {
    this.wanted = undefined;
    this.el.classList.remove('shown');
  }
}
