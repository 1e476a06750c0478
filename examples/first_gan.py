"""A whole GAN by hand: two networks, two optimizers, a loop. It learns to draw points from eight clusters on a ring.

After some ten seconds first_gan.png shows its points on the real ones, and first_gan.safetensors holds the generator.
"""

import minigan as mg
from minigan import nn
from minigan.training import Options, positive

options = Options("first_gan.py", __doc__)
options.add_argument("--steps", type=positive, default=2500, help="how long to train (default: 2500)")
options.add_argument("--dry-run", action="store_const", const=2, dest="steps", help="take two steps")
steps = options.parse_args().steps

mg.random.seed(0)
rng = mg.random.default()
ring = mg.data.gaussians_ring(10_000, std=0.1)[0]


def network(inputs: int, outputs: int) -> nn.Sequential:
    hidden = [nn.Linear(inputs, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)]
    return nn.Sequential(*hidden, nn.Linear(64, outputs))


G, D = network(8, 2), network(2, 1)  # noise to points; points to scores, high for real ones
g_optimizer = mg.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
d_optimizer = mg.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))

for step in range(steps):
    real = mg.tensor(ring[rng.integers(len(ring), 256)])
    fake = G(mg.tensor(rng.normal((256, 8))))

    d_loss = mg.mean(mg.softplus(-D(real))) + mg.mean(mg.softplus(D(fake.detach())))  # -log D(x) - log(1 - D(G(z)))
    slope = mg.grad(mg.sum(D(real)), real, create_graph=True)
    penalty = mg.mean(mg.sum(slope**2, axis=1))  # R1: without it the generator jumps from cluster to cluster
    d_optimizer.step(mg.grad(d_loss + 0.1 * penalty, D.parameters()))

    g_loss = mg.mean(mg.softplus(-D(fake)))  # -log D(G(z)), by the discriminator that has just moved
    g_optimizer.step(mg.grad(g_loss, G.parameters()))
    if step % 500 == 0:
        print(f"step {step}: d_loss {d_loss.item():.3f}, g_loss {g_loss.item():.3f}")

mg.save(G, "first_gan.safetensors")
G = mg.load(network(8, 2), "first_gan.safetensors")  # in another program, say
with mg.no_grad():
    points = G(mg.tensor(rng.normal((1000, 8)))).numpy()
mg.viz.panels([mg.viz.Panel("eight clusters", {"real": ring[:1000], "generated": points})], "first_gan.png", size=4.6)
