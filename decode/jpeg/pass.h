/* One pass and one transposition of blocks that lie side by side in vectors, included by transform.c for each kind of
 * vector. TARGET, VECTOR, PASS and TRANSPOSE are the names for that kind, and V(add_epi16) is one of its instructions. */

/* (a*ca + b*cb + half) >> shift of the a and b that lo and hi hold interleaved; DOT2 adds c*cc + d*cd of lo2 and hi2. */
#define PAIR(a, b) V(set1_epi32)((int32_t)((uint16_t)(a) | (uint32_t)(uint16_t)(b) << 16))
#define SHIFTED(sum) V(srai_epi32)(V(add_epi32)(sum, half), shift)
#define SUM(x, ca, cb, y, cc, cd) V(add_epi32)(V(madd_epi16)(x, PAIR(ca, cb)), V(madd_epi16)(y, PAIR(cc, cd)))
#define DOT(lo, hi, ca, cb) V(packs_epi32)(SHIFTED(V(madd_epi16)(lo, PAIR(ca, cb))), SHIFTED(V(madd_epi16)(hi, PAIR(ca, cb))))
#define DOT2(lo, hi, ca, cb, lo2, hi2, cc, cd) V(packs_epi32)(SHIFTED(SUM(lo, ca, cb, lo2, cc, cd)), SHIFTED(SUM(hi, ca, cb, hi2, cc, cd)))

/* The same as plain_pass on all blocks at once; rows stay rows. */
TARGET INLINE void PASS(VECTOR x[8], const int shift)
{
	const VECTOR half = V(set1_epi32)(1 << (shift - 1));
	VECTOR d0 = V(sub_epi16)(x[0], x[7]), d1 = V(sub_epi16)(x[1], x[6]);
	VECTOR d2 = V(sub_epi16)(x[2], x[5]), d3 = V(sub_epi16)(x[3], x[4]);
	VECTOR t0 = V(add_epi16)(x[0], x[7]), t1 = V(add_epi16)(x[1], x[6]);
	VECTOR t2 = V(add_epi16)(x[2], x[5]), t3 = V(add_epi16)(x[3], x[4]);
	VECTOR e0 = V(add_epi16)(t0, t3), e1 = V(add_epi16)(t1, t2);
	VECTOR e2 = V(sub_epi16)(t0, t3), e3 = V(sub_epi16)(t1, t2);
	VECTOR lo = V(unpacklo_epi16)(e0, e1), hi = V(unpackhi_epi16)(e0, e1);
	x[0] = DOT(lo, hi, C4, C4);
	x[4] = DOT(lo, hi, C4, -C4);
	lo = V(unpacklo_epi16)(e2, e3), hi = V(unpackhi_epi16)(e2, e3);
	x[2] = DOT(lo, hi, C2, C6);
	x[6] = DOT(lo, hi, C6, -C2);
	lo = V(unpacklo_epi16)(d0, d1), hi = V(unpackhi_epi16)(d0, d1);
	VECTOR lo2 = V(unpacklo_epi16)(d2, d3), hi2 = V(unpackhi_epi16)(d2, d3);
	x[1] = DOT2(lo, hi, C1, C3, lo2, hi2, C5, C7);
	x[3] = DOT2(lo, hi, C3, -C7, lo2, hi2, -C1, -C5);
	x[5] = DOT2(lo, hi, C5, -C1, lo2, hi2, C7, C3);
	x[7] = DOT2(lo, hi, C7, -C5, lo2, hi2, C3, -C1);
}

TARGET INLINE void TRANSPOSE(VECTOR x[8])
{
	VECTOR a[8], b[8];
	for (int i = 0; i < 4; i++) {
		a[2 * i] = V(unpacklo_epi16)(x[2 * i], x[2 * i + 1]);
		a[2 * i + 1] = V(unpackhi_epi16)(x[2 * i], x[2 * i + 1]);
	}
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < 2; k++) {
			b[4 * i + 2 * k] = V(unpacklo_epi32)(a[4 * i + k], a[4 * i + 2 + k]);
			b[4 * i + 2 * k + 1] = V(unpackhi_epi32)(a[4 * i + k], a[4 * i + 2 + k]);
		}
	for (int i = 0; i < 4; i++) {
		x[2 * i] = V(unpacklo_epi64)(b[i], b[4 + i]);
		x[2 * i + 1] = V(unpackhi_epi64)(b[i], b[4 + i]);
	}
}

#undef PAIR
#undef SHIFTED
#undef SUM
#undef DOT
#undef DOT2
#undef TARGET
#undef VECTOR
#undef PASS
#undef TRANSPOSE
#undef V
