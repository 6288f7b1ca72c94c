// The trust reading below a picture that moves: read at most once per frame, less often where it takes long.
import { settled } from "./common.js";
import { judgesOf, readTrust, TrustBadge } from "./trust.js";

const SLOW_MS = 3;
const PAUSE_MS = 120;

export class WalkTrust {
  constructor(frame) {
    this.badge = new TrustBadge(frame);
    this.root = this.badge.root;
    this.later = settled(() => this.read(), PAUSE_MS);
    this.cost = this.last = 0;
  }

  async load({ trust, points }) {
    this.space = await judgesOf({ trust, points });
    this.trust = trust;
  }

  of(z) {
    return this.space ? readTrust(this.trust, this.space, z) : null;
  }

  follow(z) {
    this.z = z;
    if (this.cost < SLOW_MS || performance.now() - this.last > PAUSE_MS) this.read();
    else this.later();
  }

  read() {
    if (!this.z) return;
    const start = performance.now(), found = this.of(this.z);
    this.last = performance.now();
    this.cost = 0.7 * this.cost + 0.3 * (this.last - start);
    this.badge.show(found);
  }
}
